"""All commands in one Typer application. Each command's module imports what it needs only when it runs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from stapes.cli import (
    augment,
    bench,
    boards,
    build,
    check,
    classify,
    compile,
    cost,
    data,
    doctor,
    evaluate,
    export,
    farm,
    flash,
    frontend,
    generate,
    imports,
    link,
    live,
    prove,
    record,
    report,
    review,
    search,
    sweep,
    train,
)
from stapes.cli.common import console, guarded, log_to_console
from stapes.version import __version__

app = typer.Typer(
    help="From sound recordings to a microcontroller whose every bit is proven equal to Python's.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # a help text's [brackets] are no styles
)


def _version(value: bool) -> None:
    if value:
        console.print(f"stapes {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Say on standard error what is opened, tried and started, and how long it takes.",
        ),
    ] = False,
) -> None:
    log_to_console("debug" if verbose else os.environ.get("STAPES_LOG", ""))


app.command()(doctor.doctor)
app.command()(train.train)
app.command()(cost.cost)
app.command()(sweep.sweep)
app.command()(search.search)
app.command()(augment.augment)
app.command()(evaluate.evaluate)
app.command("import")(imports.import_network)
app.command()(imports.embed)
app.command()(classify.classify)
app.command()(generate.generate)
app.command("compile")(compile.compile_model)
app.command()(boards.boards)
app.command()(build.build)
app.command()(flash.flash)
app.command()(export.export)
app.command()(check.check)
app.command()(check.compare)
app.command()(farm.farm)
app.command()(check.demo)
app.command()(prove.prove)
app.command()(record.record)
app.command()(live.listen)
app.command()(live.label)
app.command()(live.calibrate)
app.command()(review.review)
app.command()(frontend.features)
app.add_typer(data.app, name="data")
app.add_typer(frontend.app, name="frontend")
app.add_typer(bench.app, name="bench")
app.add_typer(link.app, name="link")
app.add_typer(report.app, name="report")


def run() -> None:
    """Run the command line; errors become one line on standard error."""
    guarded(app)
