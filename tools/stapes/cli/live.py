"""`stapes bench live`, `stapes listen` and `stapes label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stapes.cli.common import (
    BundleArgument,
    DataOption,
    HistoryOption,
    JsonOption,
    attended,
    console,
    note,
    save_json,
    working,
)

TargetOption = Annotated[
    str,
    typer.Option(
        "--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM, board:NAME@PORT or a URL."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME/live].")
]


def bench_live(
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="BUNDLE", help="Directory of the bundle, e.g. models/esc10.")
    ],
    target: TargetOption = "host",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Sound that the device hears.")] = 20.0,
    out: OutOption = None,
    json: JsonOption = None,
) -> None:
    """What listening costs: a hop, a second, the longest step, flash and RAM of the whole application."""
    from stapes.bench import bench_live as measure
    from stapes.recipe import Bundle

    loaded = Bundle.load(bundle)
    directory = out or Path("build") / loaded.manifest.name / "live"
    with working(f"measuring {loaded.manifest.name} on {target}"):
        result = measure(loaded, target, directory, seconds=seconds)
    save_json(json, result)
    console.print(bench_text(result))
    if result["sliding_equals_scratch"] is False or not result["events_equal_to_python"]:
        raise typer.Exit(1)


def bench_events(
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="BUNDLE", help="Directory of the bundle, e.g. models/esc10.")
    ],
    data: DataOption = None,
    seconds: Annotated[float, typer.Option("--seconds", min=30.0, help="Length of the scene.")] = 3600.0,
    target: Annotated[
        str | None, typer.Option("--target", metavar="T", help="Also run the scene's beginning there.")
    ] = None,
    target_seconds: Annotated[
        float, typer.Option("--target-seconds", min=10.0, help="How much of it.")
    ] = 120.0,
    python: Annotated[bool, typer.Option("--python/--no-python", help="Run all of it in Python too.")] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the scene.")] = 1,
    out: OutOption = None,
    json: JsonOption = None,
) -> None:
    """An hour of held-out clips between silence and noise: the device's events against Python's and the truth."""
    from stapes.bench import bench_events as measure
    from stapes.check.evaluate import fold_bundle
    from stapes.cli.common import progress_bar
    from stapes.datasets import open_dataset, synthetic_clips
    from stapes.recipe import Bundle, load_recipe

    loaded = Bundle.load(bundle)
    rate = loaded.manifest.frontend.sample_rate
    if data is None:
        clips = synthetic_clips(loaded.manifest.labels, 20, rate, 5.0, 1)
    else:
        recipe = load_recipe(bundle / "recipe.toml")
        dataset = open_dataset(data, recipe.dataset, rate, tagging=recipe.tagging)
        clips = dataset.fold(recipe.dataset.test_fold)
        loaded = fold_bundle(loaded, recipe.dataset.test_fold)  # its own may have learned from all
    with progress_bar() as progress:
        result = measure(
            loaded,
            [(clip.label, clip.pcm) for clip in clips if clip.label],
            out or Path("build") / loaded.manifest.name / "events",
            seconds=seconds,
            target=target,
            target_seconds=target_seconds,
            python=python,
            seed=seed,
            progress=progress,
        )
    result["source"] = str(data) if data else "synthetic clips"
    save_json(json, result)
    console.print(_events_text(result))
    ran = [result, *([result["target"]] if target else [])]
    if any(one["equal_to_python"] is False or one["dropped_samples"] for one in ran):
        raise typer.Exit(1)


def _events_text(result: dict[str, Any]) -> str:
    same = {None: "not compared with", True: "equal to", False: "DIFFERENT from"}
    scores = result["scores"]
    lines = [
        f"{result['bundle']}, {result['seconds']:.0f} s of {result['source']}: {result['events']} events, "
        f"{same[result['equal_to_python']]} Python's; {result['dropped_samples']} samples dropped",
        f"memory: {result['state_bytes']:,} B of state; the process grew by {result['process_growth_bytes']:,} B "
        f"after a quarter; {_figure(result['times_real_time'], '.0f')} times real time",
        f"{result['true_events']} true events, collar 0.5 s: F1 {_figure(scores['onset']['f_measure'])} by onset, "
        f"{_figure(scores['onset_and_offset']['f_measure'])} by onset and offset, "
        f"{_figure(scores['segment']['f_measure'])} by segments of 1 s; "
        f"clip accuracy {_figure(scores['clip_accuracy'])}",
        "false alarms an hour: "
        + ", ".join(
            f"{name.replace('_', ' ')} {rate:.1f}" for name, rate in result["false_alarms_per_hour"].items()
        ),
    ]
    if "target" in result:
        there = result["target"]
        lines.append(
            f"{there['target']}, the first {there['seconds']:.0f} s: {there['events']} events, "
            f"{same[there['equal_to_python']]} Python's; {there['dropped_samples']} samples dropped"
        )
    return "\n".join(lines)


def _figure(value: float | None, form: str = ".3f") -> str:
    """A figure, or a dash where it is not defined."""
    return "–" if value is None else format(value, form)


def bench_text(result: dict[str, Any]) -> str:
    """The figures as lines."""
    lines = [f"{result['bundle']} on {result['target']}: {result['why']}"]
    if result["instructions_per_second"] is not None:
        if result["slides"]:
            lines.append(
                f"a hop: {result['instructions_per_hop']:,} instructions, {result['hop_over_ideal']:.2f} of the "
                f"kernels' for new rows alone, {result['hop_over_scratch']:.2f} of a window from scratch "
                f"({result['instructions_per_window_from_scratch']:,}; overlap {100 * result['overlap']:.0f} %)"
            )
        else:
            lines.append(
                f"a window: {result['instructions_per_window_from_scratch']:,} instructions, each from scratch"
            )
        lines.append(
            f"a second: {result['instructions_per_second']:,} instructions, "
            f"{result['cpu_percent_at_80_mhz']:.1f} % of 80 MHz at one a cycle (a stand-in for cycles)"
        )
        lines.append(
            f"longest step: {result['worst_step_instructions']:,} instructions, "
            f"{result['worst_step_ms_at_80_mhz']:.1f} ms at 80 MHz; a frame is {result['frame_ms']:.1f} ms"
        )
    ram = result["ram_bytes"]
    lines.append(
        f"flash {result['flash_bytes']['total']:,} B; RAM {ram['total']:,} B: static {ram['static']:,} "
        f"(arena {ram['arena']:,}), stack {ram['stack']:,}"
    )
    same = {None: "does not slide", True: "equals scratch", False: "DIFFERS from scratch"}
    lines.append(
        f"sliding {same[result['sliding_equals_scratch']]}; {result['events']} events, "
        f"{'equal to' if result['events_equal_to_python'] else 'DIFFERENT from'} Python's; "
        f"{result['windows']} windows, {result['dropped_samples']} samples dropped"
    )
    return "\n".join(lines)


def listen(
    bundle: BundleArgument,
    target: TargetOption = "host",
    wav: Annotated[
        Path | None, typer.Option("--wav", metavar="FILE", help="Play this recording to the device.")
    ] = None,
    mic: Annotated[
        bool, typer.Option("--mic", help="Play this computer's microphone to the device.")
    ] = False,
    port: Annotated[
        str | None,
        typer.Option(
            "--port", metavar="auto|PORT", help="A board that runs the live firmware, by its own microphone."
        ),
    ] = None,
    microphone: Annotated[
        Path | None,
        typer.Option(
            "--microphone", metavar="FILE", help="What host or emulator hear as their own, again and again."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0.1, metavar="N", help="By its own microphone: how long [until Ctrl-C]."
        ),
    ] = None,
    history_seconds: HistoryOption = None,
    fast: Annotated[bool, typer.Option("--fast", help="With --wav: as fast as the device takes it.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines of events instead of the live view.")] = False,
    save_uncertain: Annotated[
        Path | None,
        typer.Option("--save-uncertain", metavar="DIR", help="Keep windows that the network was unsure of."),
    ] = None,
    save_events: Annotated[
        Path | None, typer.Option("--save-events", metavar="DIR", help="Cut every event out as a WAV file.")
    ] = None,
    json_lines: Annotated[
        Path | None, typer.Option("--json-lines", metavar="FILE", help="Write every event as a line of JSON.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Write an Audacity label track.")
    ] = None,
    out: OutOption = None,
    json: JsonOption = None,
) -> None:
    """Let a device listen, and watch: level, spectrogram from its own features, scores, events, load, losses."""
    from stapes.errors import StapesError
    from stapes.live import listening, run_session
    from stapes.recipe import Bundle

    if (wav is not None) + mic + (microphone is not None) > 1:
        raise StapesError("--wav, --mic and --microphone: one source only", hint="leave the others out")
    if port and microphone:
        raise StapesError("a board has a microphone of its own", hint="leave --microphone out")
    if seconds is not None and (wav or mic):
        raise StapesError("--seconds is for the device's own microphone", hint="leave it out")
    loaded = Bundle.load(bundle)
    with listening(
        loaded,
        port or target,
        out or Path("build") / loaded.manifest.name / "live",
        is_port=port is not None,
        wav=wav,
        mic=mic,
        fast=fast,
        microphone=microphone,
        seconds=seconds,
        history_seconds=history_seconds,
        save_uncertain=save_uncertain,
        save_events=save_events,
        json_lines=json_lines,
        labels=labels,
    ) as session:
        if session.state.earlier_fault:
            _say(f"before this session the device restarted after {session.state.earlier_fault}")
        for text in session.state.notes:
            _say(text)
        with attended():
            run_session(session, plain=plain or not console.is_terminal, say=_say)
    state = session.state
    dropped = state.status.dropped if state.status else 0
    save_json(
        json,
        {
            "events": state.count,
            "dropped_samples": dropped,
            "not_kept": state.not_kept,
            "earlier_fault": state.earlier_fault,
        },
    )
    console.print(f"{state.count} events, {dropped} samples dropped")
    if state.not_kept:
        note("not saved:", f"the sound of {state.not_kept} events, of which samples are missing here")


def _say(line: str) -> None:
    """A whole line at once, whatever the width of the terminal."""
    console.print(line, soft_wrap=True)


def label(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="WAV, FLAC or Ogg, of any length.")],
    bundle: Annotated[Path, typer.Option("--bundle", metavar="BUNDLE", help="Directory of the bundle.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="The label track [RECORDING.labels.txt]; with --segments a directory.",
        ),
    ] = None,
    segments: Annotated[
        str | None,
        typer.Option(
            "--segments", metavar="CLASS", help="Cut the sections of this class into WAV files and clips.csv."
        ),
    ] = None,
    build: Annotated[
        Path | None, typer.Option("--build", metavar="DIR", help="Build directory [build/NAME/label].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Label a whole recording with the firmware's arithmetic: an Audacity track of its events, or the sections of one
    class as files.
    """
    from stapes.cli.common import progress_bar
    from stapes.errors import StapesError
    from stapes.live import label_recording, label_segments
    from stapes.recipe import Bundle

    if segments is not None and out is None:
        raise StapesError("--segments: no directory to write to", hint="add --out DIR")
    loaded = Bundle.load(bundle)
    directory = build or Path("build") / loaded.manifest.name / "label"
    with progress_bar() as progress:
        if segments is not None and out is not None:
            result = label_segments(loaded, recording, segments, out, directory, progress=progress)
        else:
            track = out or recording.with_suffix(".labels.txt")
            result = label_recording(loaded, recording, track, directory, progress=progress)
    save_json(json, result)
    fast = f"{_figure(result['times_real_time'], '.0f')} times as fast as it sounds"
    if segments is None:
        console.print(f"{result['track']}: {result['events']} events in {result['seconds']:.0f} s, {fast}")
    else:
        console.print(
            f"{result['directory']}: {result['segments']} sections of {segments}, "
            f"{result['segment_seconds']:.1f} s of {result['seconds']:.0f} s, {fast}"
        )


def calibrate(
    bundle: BundleArgument,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")],
    seconds: Annotated[float, typer.Option("--seconds", min=60.0, help="Sound to calibrate with.")] = 1800.0,
    write: Annotated[bool, typer.Option("--write", help="Put the result into the bundle.")] = False,
    json: JsonOption = None,
) -> None:
    """Thresholds and lags of a bundle's events, from the folds that the network was trained on."""
    from stapes.datasets import open_dataset
    from stapes.live import calibrate as fit
    from stapes.live import section
    from stapes.live.calibrate import too_few
    from stapes.recipe import Bundle, load_recipe

    loaded = Bundle.load(bundle)
    recipe = load_recipe(bundle / "recipe.toml")
    rate = loaded.manifest.frontend.sample_rate
    dataset = open_dataset(data, recipe.dataset, rate, tagging=recipe.tagging)
    held_out = recipe.dataset.test_fold
    sounds = [(clip.label, clip.pcm) for clip in dataset.clips if clip.label and clip.fold != held_out]
    with working(f"listening to {seconds:.0f} s of the training folds"):
        live = fit(loaded, sounds, seconds=seconds)
    for name, count in too_few(loaded, sounds).items():
        note("not calibrated:", f"{name}, of which there are {count} clips outside of the test fold")
    if write:
        Bundle.save(bundle, loaded.manifest.model_copy(update={"live": live}), loaded.files)
    save_json(json, {"live": live.model_dump(mode="json"), "written": write})
    console.print(section(live))
