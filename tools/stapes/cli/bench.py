"""`stapes bench MODEL`, `bench frontend`, `bench audio` and `bench live`: one command, a network by default."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from stapes.cli import audio, frontend, live
from stapes.cli import compile as compile_commands


class _ModelByDefault(TyperGroup):
    """`bench X` means `bench model X` unless X is a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["model", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ModelByDefault,
    help="Measure `bench MODEL` (a .tflite or a bundle), `bench frontend`, `bench audio` or "
    "`bench live` on a target, and compare every output.",
    no_args_is_help=True,
)
app.command("model", hidden=True)(compile_commands.bench)
app.command("frontend")(frontend.bench_frontend)
app.command("audio")(audio.bench_audio)
app.command("live")(live.bench_live)
