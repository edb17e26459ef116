"""`stapes bench`: a network by default; `frontend`, `audio`, `live`, `events`, `features`, `all`."""

from __future__ import annotations

import typer

from stapes.cli import audio, benchmarks, frontend, live
from stapes.cli import compile as compile_commands
from stapes.cli.common import default_command

app = typer.Typer(
    cls=default_command("model"),
    help="Measure `bench MODEL` (a .tflite or a bundle), `bench frontend`, `bench audio`, "
    "`bench live` or `bench events` on a target, and compare every output; `bench all` is docs/benchmarks.md.",
    no_args_is_help=True,
)
app.command("model", hidden=True)(compile_commands.bench)
app.command("frontend")(frontend.bench_frontend)
app.command("audio")(audio.bench_audio)
app.command("live")(live.bench_live)
app.command("events")(live.bench_events)
app.command("features")(benchmarks.bench_features)
app.command("all")(benchmarks.bench_all)
