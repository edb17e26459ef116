"""`stapes check` and `stapes demo`: prove a target right, or show where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import (
    BundleArgument,
    DataOption,
    GdbOption,
    JsonOption,
    RenodeOption,
    console,
    note,
    progress_bar,
    save_file,
    save_json,
    wish_of_renode,
    working,
)

if TYPE_CHECKING:
    from stapes.check import CheckReport, ClipSet, Outcome

DEMO_TARGET = "qemu:netduinoplus2"

ClipsOption = Annotated[
    int | None, typer.Option("--clips", min=1, metavar="N", help="How many clips (default: all).")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write one self-contained HTML page.")
]
SoundOption = Annotated[
    bool, typer.Option("--sound", help="With --html: the sound of every clip, not only of the first few.")
]
MetricsOption = Annotated[
    Path | None, typer.Option("--metrics", metavar="FILE", help="Also write the figures as OpenMetrics text.")
]


def check(
    bundle: BundleArgument,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="T",
            help="host, qemu:MACHINE, renode:PLATFORM, board:NAME@PORT or a pyserial URL.",
        ),
    ] = "host",
    data: DataOption = None,
    clips: ClipsOption = None,
    full: Annotated[bool, typer.Option(help="Fetch and compare every value, not only checksums.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
    html: HtmlOption = None,
    sound: SoundOption = False,
    metrics: MetricsOption = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", metavar="FILE", help="Accepted figures to compare with: a file or a directory."
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Accept this run: write its figures to --baseline.")
    ] = False,
    uart_log: Annotated[
        Path | None, typer.Option("--uart-log", metavar="DIR", help="Write every byte of the line to DIR.")
    ] = None,
    gdb: GdbOption = None,
    renode: RenodeOption = None,
) -> None:
    """Run clips on a target and compare features, every layer, scores and decision with the Python reference."""
    from stapes.proof import proved_for_all_inputs
    from stapes.report import print_check
    from stapes.targets import known_fault

    if update_baseline and baseline is None:
        raise typer.BadParameter("say which file: --baseline FILE", param_hint="--update-baseline")
    _sound_is_for_pages(sound, html)
    wish_of_renode(target, gdb, renode)
    report, chosen = _check(bundle, target, data, clips, full=full, out=out, uart_log=uart_log)
    value = report.as_json()
    save_json(json, value)
    _save([report], chosen, html=html, sound=sound, metrics=metrics)
    print_check(report, console)
    if report.first_difference is not None and (fault := known_fault(target)):
        note("perhaps not the firmware's:", fault)
    _exit_unless_passed(report)
    shown = proved_for_all_inputs(report.bundle, target)
    if shown is not None:
        console.print(shown, soft_wrap=True)
    if baseline is not None:
        outcome = _compare_with_baseline(report, baseline, update=update_baseline)
        save_json(json, value | outcome.as_json())
        if outcome.regressions:
            raise typer.Exit(1)


def compare(
    bundle: BundleArgument,
    targets: Annotated[str, typer.Option("--targets", metavar="T1,T2", help="Targets, separated by commas.")],
    data: DataOption = None,
    clips: ClipsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
    html: HtmlOption = None,
    sound: SoundOption = False,
    metrics: MetricsOption = None,
) -> None:
    """Run the same clips on several targets; put bits, decisions, counts, flash and RAM side by side."""
    from stapes.check import check_bundle, select_clips
    from stapes.recipe import Bundle
    from stapes.report import comparison_table

    _sound_is_for_pages(sound, html)
    loaded = Bundle.load(bundle)
    with working("reading recordings"):
        chosen = select_clips(loaded, data, clips)
    directory = out or Path("build") / loaded.manifest.name
    reports = []
    for target in [name.strip() for name in targets.split(",") if name.strip()]:
        with progress_bar() as progress:
            reports.append(check_bundle(loaded, target, chosen, directory, progress=progress))
        if reports[-1].constants_problem:
            note(f"{target}:", reports[-1].constants_problem, "bold red")
        if reports[-1].first_difference is not None:
            note(f"{target}:", str(reports[-1].first_difference), "bold red")
    if not reports:
        raise typer.BadParameter("name at least one target", param_hint="--targets")
    equal = all(report.passed for report in reports)
    save_json(json, {"targets": [report.as_json() for report in reports], "equal": equal})
    _save(reports, chosen, html=html, sound=sound, metrics=metrics)
    console.print(comparison_table(reports))
    if not equal:
        raise typer.Exit(1)


def demo(
    bundle: BundleArgument = Path("models/esc10"),
    data: DataOption = None,
    clips: Annotated[int, typer.Option("--clips", min=1, metavar="N", help="How many clips.")] = 10,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path(
        "build/demo"
    ),
    json: JsonOption = None,
) -> None:
    """From bundle to checked firmware in one go: on the emulated STM32F4, or on the host where tools are missing."""
    console.print(f"{bundle} -> C -> firmware -> checked clip by clip")  # before anything that takes time
    from stapes.errors import ToolError
    from stapes.report import print_check
    from stapes.targets import require_target

    target = DEMO_TARGET
    try:
        require_target(target)
    except ToolError as error:
        note("without:", f"{error.message}; {error.hint}")
        note("instead:", "running on this computer rather than the emulated STM32F4")
        target = "host"
    console.print(f"target: {target}")
    report, chosen = _check(bundle, target, data, clips, full=False, out=out)
    value = report.as_json()
    save_json(out / "report.json", value)
    save_json(json, value)
    _save([report], chosen, html=out / "report.html", sound=False, metrics=None)
    print_check(report, console)
    _exit_unless_passed(report)
    console.print(
        f"report: {out / 'report.html'} and report.json; generated C: {out / 'generated'}", soft_wrap=True
    )


def _check(
    bundle: Path,
    target: str,
    data: Path | None,
    clips: int | None,
    *,
    full: bool,
    out: Path | None,
    uart_log: Path | None = None,
) -> tuple[CheckReport, ClipSet]:
    from stapes.check import check_bundle, select_clips
    from stapes.files import safe_name
    from stapes.recipe import Bundle

    loaded = Bundle.load(bundle)
    with working("reading recordings"):
        chosen = select_clips(loaded, data, clips)
    with progress_bar() as progress:
        report = check_bundle(
            loaded,
            target,
            chosen,
            out or Path("build") / loaded.manifest.name,
            full=full,
            uart_log=uart_log and uart_log / f"check-{safe_name(target)}.log",
            progress=progress,
        )
    return report, chosen


def _sound_is_for_pages(sound: bool, html: Path | None) -> None:
    if sound and html is None:
        raise typer.BadParameter("only together with --html", param_hint="--sound")


def _save(
    reports: list[CheckReport], clips: ClipSet, *, html: Path | None, sound: bool, metrics: Path | None
) -> None:
    from stapes.report import hear, html_report, open_metrics

    values = [report.as_json() for report in reports]
    if html is not None:
        run = {result.clip for report in reports for result in report.results}
        spec = reports[0].bundle.manifest.frontend
        with progress_bar(after=2.0) as progress:
            heard = hear(
                [clip for clip in clips.clips if clip.name in run], spec, sound=sound, progress=progress
            )
        save_file(html, html_report(values, heard), "--html")
    if metrics is not None:
        save_file(metrics, open_metrics(values), "--metrics")


def _exit_unless_passed(report: CheckReport) -> None:
    if not report.passed:
        raise typer.Exit(130 if report.interrupted else 1)


def _compare_with_baseline(report: CheckReport, baseline: Path, *, update: bool) -> Outcome:
    from stapes.check import compare_with_baseline

    outcome = compare_with_baseline(report, baseline, update=update)
    for line in outcome.regressions:
        note("REGRESSION", line, "bold red")
    for line in outcome.notes:
        console.print(line, soft_wrap=True)
    if not outcome.regressions and not update:
        console.print(f"no regression against {outcome.path}", soft_wrap=True)
    return outcome
