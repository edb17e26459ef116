"""Many boards at once: a desk or a rack that FARM.toml describes, checked, flashed or measured side by side."""

from stapes.farm.boards import FarmBoard, choose_boards, load_farm
from stapes.farm.run import BoardReport, FarmReport, run_farm
from stapes.farm.work import Order, Outcome

__all__ = [
    "BoardReport",
    "FarmBoard",
    "FarmReport",
    "Order",
    "Outcome",
    "choose_boards",
    "load_farm",
    "run_farm",
]
