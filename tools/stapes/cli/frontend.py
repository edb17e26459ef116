"""`stapes features` and `stapes frontend …`: what the front end makes of a clip, and how exact it is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json, working

if TYPE_CHECKING:
    from stapes.features import OutputQuantization
    from stapes.recipe import FrontendSpec

app = typer.Typer(help="The front end: how exact it is.", no_args_is_help=True)

BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle", metavar="B", help="Bundle whose front end to use [default: the default settings]."
    ),
]
RecordingsOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", envvar="STAPES_DATA", help="ESC-50 layout; without it, synthetic clips."
    ),
]
ClipsOption = Annotated[
    int | None, typer.Option("--clips", min=1, metavar="N", help="How many clips (default: all).")
]


def front_end(bundle: Path | None) -> tuple[FrontendSpec, OutputQuantization]:
    """The front end of `bundle`, or the default one, and how its values become int8."""
    from stapes.features import OutputQuantization
    from stapes.recipe import Bundle, FrontendSpec, Normalization

    if bundle is None:
        fixed = Normalization()
        return FrontendSpec(), OutputQuantization(fixed.mean, fixed.std, 1.0 / 32.0, 0)
    from stapes.graph import load_graph
    from stapes.reference.pipeline import output_quantization

    loaded = Bundle.load(bundle)
    return loaded.manifest.frontend, output_quantization(loaded, load_graph(loaded))


def features(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A recording: WAV, FLAC or Ogg.")],
    bundle: BundleOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the pictures go.")] = Path(
        "build/features"
    ),
    json: JsonOption = None,
) -> None:
    """Draw librosa's features of a recording, the device's, and their difference."""
    from stapes.datasets import read_audio
    from stapes.errors import DataError
    from stapes.features.parity import ParityMeter
    from stapes.features.picture import draw

    spec, output = front_end(bundle)
    pcm = read_audio(clip, spec.sample_rate)
    if len(pcm) < spec.frame_length:
        raise DataError(
            f"{clip}: {len(pcm)} samples are fewer than one frame ({spec.frame_length})",
            hint="use a longer recording",
        )
    meter = ParityMeter(spec, output)
    meter.add(pcm)
    path = draw(pcm, spec, output, clip.name, out / f"{clip.stem}.png")
    save_json(json, {"picture": str(path), **meter.as_json()})
    console.print(f"{path}: librosa, device and difference of {spec.frames(len(pcm))} frames")


@app.command()
def parity(
    bundle: BundleOption = None,
    data: RecordingsOption = None,
    clips: ClipsOption = None,
    json: JsonOption = None,
) -> None:
    """Compare the fixed-point front end with librosa in float64, at normal level and 40 dB quieter."""
    from stapes.datasets import ESC10_LABELS, open_dataset, synthetic_clips
    from stapes.features.parity import parity as measure
    from stapes.recipe import DatasetSpec

    spec, output = front_end(bundle)
    chosen = (
        synthetic_clips(ESC10_LABELS, clips or 20, spec.sample_rate, 5.0, seed=1)
        if data is None
        else open_dataset(data, DatasetSpec(), spec.sample_rate).clips[:clips]
    )
    with progress_bar() as progress:

        def recordings() -> Any:
            for done, clip in enumerate(chosen):
                progress("parity", done, len(chosen))
                yield clip.pcm

        result = measure(recordings(), spec, output)
    result = {"source": str(data) if data else "synthetic", "clips": len(chosen), **result}
    _print_parity(result)
    save_json(json, result)


@app.command()
def gate(
    data: RecordingsOption = None,
    clips: Annotated[int, typer.Option("--clips", min=1, metavar="N", help="How many clips a setting.")] = 10,
    json: JsonOption = None,
) -> None:
    """Compare many other settings with librosa, on clips and on extreme signals."""
    from stapes.datasets import ESC10_LABELS, open_dataset, synthetic_clips
    from stapes.features.gate import SETTINGS
    from stapes.features.gate import gate as measure
    from stapes.recipe import DatasetSpec

    with progress_bar() as progress:
        done = 0

        def recordings(sample_rate: int) -> Any:
            nonlocal done
            progress("gate", done, len(SETTINGS) + 1)
            done += 1
            if data is None:
                chosen = synthetic_clips(ESC10_LABELS, clips, sample_rate, 5.0, seed=1)
            else:
                every = open_dataset(data, DatasetSpec(), sample_rate).clips
                chosen = every[:: max(1, len(every) // clips)][:clips]
            return [clip.pcm for clip in chosen]

        result = measure(recordings)
    _print_gate(result)
    save_json(json, {"source": str(data) if data else "synthetic", "clips": clips, **result})
    if result["int8_max_step"] > 1:
        raise typer.Exit(1)


def _print_gate(result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="Front end against librosa in float64, other settings")
    for heading in ("setting", "SNR, dB", "largest error", "int8 equal", "largest step", "of extremes"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for name, found in result["settings"].items():
        table.add_row(
            name,
            "–" if found["snr_db"] is None else f"{found['snr_db']:.1f}",
            f"{found['max_abs_error_nat']:.1e}",
            f"{found['int8_equal_fraction']:.4%}",
            str(found["int8_max_step"]),
            str(max(found["extremes_max_step"].values())),
        )
    console.print(table)


def bench_frontend(
    target: Annotated[
        str,
        typer.Option("--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT."),
    ] = "qemu:mps2-an386",
    bundle: BundleOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/bench_frontend/T].")
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Only portable C, nothing for DSP instructions.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Instructions a frame, flash and RAM of the front end alone, and whether its bits are the reference's."""
    from stapes.bench.frontend import bench_frontend as bench

    spec, output = front_end(bundle)
    kind = "bench_frontend_portable" if portable else "bench_frontend"
    directory = out or Path("build") / kind / target.replace(":", "_").replace("/", "_")
    with working(f"measuring the front end on {target}"):
        result = bench(target, spec, output, directory, portable=portable)
    flash, ram = result["flash_bytes"], result["ram_bytes"]
    save_json(json, result)
    console.print(
        f"{target}: {result['counts_per_frame']:,} {result['counter']} a frame; flash {flash['total']:,} B "
        f"(code {flash['code']:,}, tables {flash['tables']:,}); RAM {ram['total']:,} B with stack; "
        f"features {_verdict(result)}",
        soft_wrap=True,
    )
    if not result["equal"]:
        raise typer.Exit(1)


def _verdict(result: dict[str, Any]) -> str:
    """Whether the front end is right, or why this target cannot tell."""
    if result["known"]:
        return f"not shown to be the reference's, {result['known']}; --portable builds without these instructions"
    return "equal to the reference" if result["equal"] else "DIFFERENT from the reference"


def _print_parity(result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"Front end against librosa in float64, {result['clips']} {result['source']} clips")
    for heading in ("", "normal", "40 dB quieter"):
        table.add_column(heading, justify="left" if not heading else "right")
    quiet = result["quiet"]
    for label, key, form in (
        ("int8 cells", "cells", "{:,}"),
        ("equal", "int8_equal_fraction", "{:.4%}"),
        ("equal, above the floor", "int8_equal_fraction_above_floor", "{:.4%}"),
        ("largest step", "int8_max_step", "{}"),
        ("SNR, dB", "snr_db", "{:.1f}"),
        ("largest error, nat", "max_abs_error_nat", "{:.1e}"),
        ("mean error, nat", "mean_abs_error_nat", "{:.1e}"),
    ):
        table.add_row(
            label, *("–" if part[key] is None else form.format(part[key]) for part in (result, quiet))
        )
    edges = result["histogram"]["edges_nat"]
    for index, (low, high) in enumerate(pairwise(edges)):
        counts = (part["histogram"]["counts"][index] for part in (result, quiet))
        table.add_row(f"error {low:.0e} to {high:.0e}", *(f"{count:,}" for count in counts))
    console.print(table)
