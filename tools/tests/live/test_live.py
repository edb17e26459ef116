"""The listening device in C gives the events of the one in Python, whatever the settings, the sound, the pieces."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_bundle import FRAMES, HOP, LABELS, make_live_bundle

from stapes.codegen import generate
from stapes.live import HostListener
from stapes.recipe import EXPONENTIAL, VOTES, FrontendSpec, LiveSpec
from stapes.reference import LiveEvent, LiveKind, LiveReference, Reference

FIRMWARE = Path(__file__).parents[3] / "firmware"
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC",
    "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error",
    f"-I{FIRMWARE / 'runtime/include'}", f"-I{FIRMWARE / 'link'}", f"-I{FIRMWARE / 'app'}",
]  # fmt: skip

Pcm = npt.NDArray[np.int16]
Make = Callable[..., tuple[HostListener, LiveReference]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A device in C and one in Python; the runtime is compiled once, what a bundle changes each time."""
    objects = tmp_path_factory.mktemp("runtime")
    sources = sorted((FIRMWARE / "runtime/src").glob("*.c"))
    subprocess.run(["cc", *FLAGS, "-c", *map(str, sources)], check=True, cwd=objects)
    counter = iter(range(1_000_000))

    def build(live: LiveSpec | None = None, **options: object) -> tuple[HostListener, LiveReference]:
        directory = tmp_path_factory.mktemp(f"bundle{next(counter)}")
        bundle = make_live_bundle(directory, live, **options)  # type: ignore[arg-type]
        generated = generate(bundle, directory / "generated").directory
        library = directory / "library.so"
        files = [FIRMWARE / "app/live_library.c", *generated.glob("*.c"), *objects.glob("*.o")]
        subprocess.run(
            ["cc", *FLAGS, f"-I{generated}", "-shared", *map(str, files), "-o", str(library)], check=True
        )
        return HostListener(library), LiveReference(Reference(bundle, "numpy"))

    return build


def sound(seed: int, seconds: float = 6.0, longest: int = 16_000) -> Pcm:
    """Noise and tones whose level jumps between silence and full scale."""
    random = np.random.default_rng(seed)
    parts: list[npt.NDArray[np.float64]] = []
    while sum(map(len, parts)) < seconds * 16000:
        length = int(random.integers(400, longest))
        level = float(random.choice([0.0, 1.0, 30.0, 1000.0, 20000.0]))
        tone = np.sin(np.arange(length) * random.uniform(0.02, 1.5))
        parts.append(level * (tone if random.integers(2) else random.normal(0.0, 0.4, length)))
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


def both(c: HostListener, python: LiveReference, pcm: Pcm, seed: int, gaps: bool = False) -> list[LiveEvent]:
    """The events of `pcm` in random pieces, with losses between them; C and Python must agree."""
    random = np.random.default_rng(seed)
    got: list[LiveEvent] = []
    position = 0
    while position < len(pcm):
        piece = pcm[position : position + int(random.integers(1, 9000))]
        got += c.push(piece)
        python.push(piece)
        position += len(piece)
        if gaps and random.integers(4) == 0:
            lost = int(random.integers(0, 3000))
            got += c.lose(lost)
            python.lose(lost)
    got += c.flush()
    python.flush()
    assert got == python.events
    assert c.windows == python.twin.windows_total
    return got


specs = st.builds(
    LiveSpec,
    smoothing=st.sampled_from([*VOTES, EXPONENTIAL]),
    windows=st.integers(1, 5),
    factor=st.floats(0.01, 1.0),
    multi_label=st.booleans(),
    threshold=st.floats(0.0, 0.6),
    thresholds=st.dictionaries(st.sampled_from(LABELS), st.floats(0.0, 0.8), max_size=2),
    release=st.floats(0.3, 1.0),
    margin=st.sampled_from([0.0, 0.05, 0.3]),
    other=st.sampled_from(["", "other", "dog"]),
    min_seconds=st.sampled_from([0.0, 0.06, 0.1, 0.5]),
    merge_seconds=st.sampled_from([0.0, 0.02, 0.06, 0.08, 1.0]),
    refractory_seconds=st.sampled_from([0.0, 0.04, 0.1, 1.0]),
    start_lag_seconds=st.sampled_from([0.0, 0.06]),
    end_lag_seconds=st.sampled_from([0.0, 0.02]),
    gate=st.booleans(),
    gate_open_dbfs=st.sampled_from([-40.0, -20.0]),
    gate_close_dbfs=st.sampled_from([-60.0, -40.0]),
    gate_hold_seconds=st.sampled_from([0.0, 0.06, 0.5]),
    level_seconds=st.sampled_from([0.0, 0.5, 1.0]),
)


@settings(max_examples=6, deadline=None)
@given(
    live=specs,
    padded=st.booleans(),
    hop=st.sampled_from([HOP, 8, 20]),
    seed=st.integers(0, 1000),
    gaps=st.booleans(),
)
def test_events_are_those_of_python(
    make: Make, live: LiveSpec, padded: bool, hop: int, seed: int, gaps: bool
) -> None:
    c, python = make(live, padded=padded, hop=hop, seed=seed)
    both(c, python, sound(seed), seed, gaps)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """As `make`, with networks that give the scores of a script: decisions change as often as the script does."""
    objects = tmp_path_factory.mktemp("runtime")
    runtime = FIRMWARE / "runtime/src"
    names = [
        *runtime.glob("frontend*.c"),
        *runtime.glob("vote_*.c"),
        *(
            runtime / f"{name}.c"
            for name in ("fft", "decision", "integer", "classifier", "live", "sound_level")
        ),
    ]
    subprocess.run(["cc", *FLAGS, "-c", *map(str, names)], check=True, cwd=objects)
    counter = iter(range(1_000_000))

    def build(live: LiveSpec, script: npt.NDArray[np.int8], hop: int) -> tuple[HostListener, LiveReference]:
        directory = tmp_path_factory.mktemp(f"bundle{next(counter)}")
        bundle = make_live_bundle(directory, live, hop=hop)
        generated = generate(bundle, directory / "generated").directory
        library = directory / "library.so"
        files = [
            FIRMWARE / "app/live_library.c",
            FIRMWARE / "tests/live_scripted.c",
            generated / "stapes_live.c",
            generated / "stapes_live_frontend.c",
            *objects.glob("*.o"),
        ]
        subprocess.run(
            ["cc", *FLAGS, f"-I{generated}", "-shared", *map(str, files), "-o", str(library)], check=True
        )
        c, python = HostListener(library), LiveReference(Reference(bundle, "numpy"))
        c._library.stapes_script(script.ctypes.data_as(ctypes.c_void_p))
        windows = iter(script)
        python.twin.network = lambda rows, goes_on: next(windows)
        return c, python

    return build


def scores_of(seed: int, windows: int = 1500) -> npt.NDArray[np.int8]:
    """Scores of windows, int8[windows, classes]: a class stays the best for one to six windows."""
    random = np.random.default_rng(seed)
    rows: list[npt.NDArray[np.int64]] = []
    while len(rows) < windows:
        best, level = int(random.integers(len(LABELS))), int(random.integers(-60, 128))
        for _ in range(int(random.integers(1, 7))):
            row = random.integers(-128, -50, len(LABELS))
            row[best] = min(127, level + int(random.integers(-10, 11)))
            rows.append(row)
    return np.array(rows[:windows], dtype=np.int8)


@settings(max_examples=25, deadline=None)
@given(live=specs, hop=st.sampled_from([1, 1, HOP]), seed=st.integers(0, 1000))
def test_scripted_events_are_those_of_python(scripted: Make, live: LiveSpec, hop: int, seed: int) -> None:
    """With a hop of one frame, so that every comparison of times meets its limit."""
    c, python = scripted(live, scores_of(seed), hop)
    both(c, python, sound(seed, 20.0, longest=30_000), seed)


@pytest.mark.parametrize("smoothing", [*VOTES, EXPONENTIAL])
def test_every_smoothing_is_that_of_python(scripted: Make, smoothing: str) -> None:
    live = LiveSpec(smoothing=smoothing, windows=4, threshold=0.4, merge_seconds=0.0, end_lag_seconds=0.3)
    c, python = scripted(live, scores_of(2), HOP)
    kinds = {event.kind for event in both(c, python, sound(2, 20.0), 2)}
    assert {LiveKind.BEGIN, LiveKind.END} <= kinds


def test_a_script_makes_many_events(scripted: Make) -> None:
    """Else the test above would see little."""
    live = LiveSpec(windows=1, threshold=0.4, merge_seconds=0.0, end_lag_seconds=0.3, level_seconds=0.0)
    c, python = scripted(live, scores_of(1), HOP)
    ends = [event for event in both(c, python, sound(1, 20.0), 1) if event.kind == LiveKind.END]
    assert len(ends) > 25
    assert {event.class_index for event in ends} == set(range(len(LABELS)))


Spans = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("limits", "runs", "events"),
    [
        pytest.param(  # 5 frames, of runs of 4, 5 and 6
            {"min_seconds": 0.1},
            [(30, 34), (60, 65), (90, 96)],
            [(60, 65), (90, 96)],
            id="minimum",
        ),
        pytest.param(  # 3 frames, with 2, 3 and 4 between
            {"merge_seconds": 0.06},
            [(30, 32), (34, 36), (60, 62), (65, 67), (90, 92), (96, 98)],
            [(30, 36), (60, 67), (90, 92), (96, 98)],
            id="merge",
        ),
        pytest.param(  # 5 frames, with 4, 5 and 6 between; the last run is over before
            {"refractory_seconds": 0.1},
            [(30, 32), (36, 40), (60, 62), (67, 70), (90, 92), (98, 101), (120, 122), (124, 127)],
            [(30, 32), (37, 40), (60, 62), (67, 70), (90, 92), (98, 101), (120, 122)],
            id="refractory",
        ),
        pytest.param(  # what is dropped makes nothing wait
            {"min_seconds": 0.06, "refractory_seconds": 0.2},
            [(30, 32), (34, 38)],
            [(34, 38)],
            id="dropped",
        ),
    ],
)
def test_limits_to_the_frame(scripted: Make, limits: dict[str, float], runs: Spans, events: Spans) -> None:
    """One frame below each limit, at it and one above; `runs` and `events` from a frame to the one after the last."""
    spec = {"merge_seconds": 0.0, **limits}
    # A window for every frame, and lags with which n windows are an event of n frames.
    live = LiveSpec(windows=1, start_lag_seconds=0.04, end_lag_seconds=0.02, level_seconds=0.0, **spec)  # type: ignore[arg-type]
    script = np.full((150, len(LABELS)), -128, dtype=np.int8)
    for start, end in runs:
        script[start - (FRAMES - 2) : end - (FRAMES - 2), 1] = 127
    c, python = scripted(live, script, 1)
    got = both(c, python, np.zeros(150 * 320, dtype=np.int16), 1)
    assert {event.class_index for event in got} == {1}
    spans = {
        kind: [(event.start / 320, event.end / 320) for event in got if event.kind == kind]
        for kind in (LiveKind.BEGIN, LiveKind.END)
    }
    assert spans[LiveKind.END] == events
    least = max(1, round(spec.get("min_seconds", 0.0) * 50))
    assert spans[LiveKind.BEGIN] == [(start, start + least) for start, _ in events]


@pytest.mark.parametrize("hop", [1, 2, HOP])
def test_an_event_of_one_window_lasts_a_hop_in_its_middle(scripted: Make, hop: int) -> None:
    """Where the recipe gives no lags."""
    live = LiveSpec(windows=1, merge_seconds=0.0, level_seconds=0.0)
    script = np.full((40, len(LABELS)), -128, dtype=np.int8)
    script[[10, 20, 21], 1] = 127
    c, python = scripted(live, script, hop)
    got = both(c, python, np.zeros((FRAMES + 40 * hop) * 320, dtype=np.int16), 1)
    spans = [(event.start // 320, event.end // 320) for event in got if event.kind == LiveKind.END]
    ends = [FRAMES + hop * window for window in (10, 20, 21)]
    lag = (FRAMES + hop) // 2
    assert [end - start for start, end in spans] == [hop, 2 * hop]
    assert [start for start, _ in spans] == [ends[0] - lag, ends[1] - lag]


@pytest.mark.parametrize(("late", "from_its_beginning"), [(0, True), (1, True), (-1, True), (0, False)])
def test_what_broke_the_silence_began_with_it(scripted: Make, late: int, from_its_beginning: bool) -> None:
    """Decided on in the first windows or at last in one whose smoothing still covers all since the gate opened (`late`
    counts from there where it is negative); a window later it began where the lag says.
    """
    hop, windows = 2, 2
    covered = -(-FRAMES // hop) + windows - 1
    window = late % covered if from_its_beginning else covered
    live = LiveSpec(
        windows=windows, smoothing="mean", threshold=0.4, start_lag_seconds=0.04, gate=True, level_seconds=0.0
    )
    script = np.full((2 * covered + 40, len(LABELS)), -128, dtype=np.int8)
    script[window : window + 3, 1] = 127
    pcm = np.zeros((2 * FRAMES + 100) * 320, dtype=np.int16)
    opens = 30  # the first frame whose newest samples are loud
    first = 512 + (opens - 1) * 320
    loud = np.random.default_rng(3).integers(-9000, 9000, (FRAMES + 40) * 320)
    pcm[first : first + len(loud)] = loud
    c, python = scripted(live, script, hop)
    starts = [event.start // 320 for event in both(c, python, pcm, 1) if event.kind == LiveKind.END]
    assert starts == [opens if from_its_beginning else opens + (window + 1) * hop - 2]


def test_gate_saves_the_network_s_work(make: Make) -> None:
    live = LiveSpec(gate=True, threshold=0.0)
    c, python = make(live)
    quiet = np.random.default_rng(1).integers(-20, 20, 160_000).astype(np.int16)
    both(c, python, quiet, 1)
    assert c.windows == 0
    c, python = make(live)
    loud = quiet.copy()
    loud[60_000:64_000] = np.random.default_rng(2).integers(-9000, 9000, 4000)
    events = [event for event in both(c, python, loud, 1) if event.kind == LiveKind.END]
    assert 0 < c.windows < 2 * (FRAMES // HOP) + 4
    # The gate says when the sound began and ended: within a frame and the part of it that a frame covers.
    assert abs(min(event.start for event in events) - 60_000) < 1000
    assert abs(max(event.end for event in events) - 64_000) < 1000


@pytest.mark.parametrize("padded", [False, True])
def test_lost_samples_are_in_the_next_event_and_no_window_holds_the_gap(make: Make, padded: bool) -> None:
    c, python = make(LiveSpec(threshold=0.0, windows=1), padded=padded)
    pcm = sound(5)
    events = c.push(pcm[:50_000]) + c.lose(1234)
    gap = events[-1]
    assert (gap.kind, gap.start, gap.end, gap.dropped) == (LiveKind.GAP, 50_000, 51_234, 1234)
    # Recovery within one window: the first window after the gap is complete as soon as its last sample is there.
    before = c.windows
    window = 512 + (FRAMES - 1) * 320
    events = c.push(pcm[50_000 : 50_000 + window - 1])
    assert c.windows == before
    events += c.push(pcm[50_000 + window - 1 : 50_000 + window])
    assert c.windows == before + 1
    assert all(event.dropped == 0 for event in events)
    python.push(pcm[:50_000])
    python.lose(1234)
    python.push(pcm[50_000 : 50_000 + window])
    assert python.events[-len(events) :] == events


@pytest.mark.parametrize(
    "frontend",
    [FrontendSpec(n_mels=20, pre_emphasis=0.97), FrontendSpec(n_mels=20, remove_dc=True, hop_length=512)],
)
def test_other_front_ends(make: Make, frontend: FrontendSpec) -> None:
    c, python = make(LiveSpec(threshold=0.1, gate=True), frontend=frontend)
    assert both(c, python, sound(9), 3)


def test_levels_are_the_energy_average(make: Make) -> None:
    c, python = make(LiveSpec(threshold=1.0, level_seconds=1.0))
    tone = (32767 * np.sin(np.arange(48_000) * 0.3)).astype(np.int16)
    levels = [event for event in both(c, python, tone, 4) if event.kind == LiveKind.LEVEL]
    assert len(levels) >= 2
    assert all(abs(event.level + 301) <= 2 for event in levels)
    assert levels[0].start == 0
    assert [event.end for event in levels[:-1]] == [event.start for event in levels[1:]]


def test_a_library_needs_a_c_compiler_only(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    bundle = make_live_bundle(tmp_path / "bundle", LiveSpec(threshold=0.0))
    with_product_flags = HostListener.build(bundle, tmp_path / "build")
    python = LiveReference(Reference(bundle, "numpy"))
    assert both(with_product_flags, python, sound(2), 2)
    again = HostListener.build(bundle, tmp_path / "build")
    assert [path.suffix for path in (tmp_path / "build").glob("*.so")] == [".so"]
    assert again.push(sound(2)[:1000]) == []
