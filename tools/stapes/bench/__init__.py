"""What it costs: front end, network, microphones, listening, whole recipes; accuracy against size."""

from stapes.bench.audio import bench_audio
from stapes.bench.cost import Cost, check_budget, recipe_cost
from stapes.bench.events import bench_events
from stapes.bench.frontend import bench_frontend
from stapes.bench.live import bench_live
from stapes.bench.model import ModelBench, bench_model
from stapes.bench.pareto import pareto_points

__all__ = [
    "Cost",
    "ModelBench",
    "bench_audio",
    "bench_events",
    "bench_frontend",
    "bench_live",
    "bench_model",
    "check_budget",
    "pareto_points",
    "recipe_cost",
]
