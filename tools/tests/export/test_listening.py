"""The examples that listen, on this computer: over renderings of their frameworks' headers (frameworks/), with the
warnings of C and of C++ as errors, and a microphone that hears a WAV. They tell the events of `stapes label`.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from clibrary import build_library
from live_bundle import make_live_bundle

from stapes.export import FORMATS, export_bundle
from stapes.firmware import find_program
from stapes.live.label import label_recording
from stapes.recipe import Bundle, LiveSpec

FRAMEWORKS = Path(__file__).with_name("frameworks")
RATE = 16000
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
CHECKS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LANGUAGES = {"c": ["cc", "-std=gnu99"], "c++": ["c++", "-std=gnu++20", "-x", "c++"]}
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Example:
    """One example of a format: its sources, the stand-in's, and how the microphone's bits become PCM."""

    format: str
    sources: tuple[str, ...]
    framework: str = ""
    stand_in: str = ""
    languages: tuple[str, ...] = ("c", "c++")
    is_i2s: bool = False
    loses: tuple[int, int] | None = None
    """The read at which a loss is planted, and how many samples it is."""


EXAMPLES = {
    "cmake": Example("cmake", ("examples/listen/main.c", "examples/listen/microphone_stdin.c"), is_i2s=True),
    "platformio": Example(
        "platformio", ("examples/listen/src/main.cpp",), "arduino", "core.cpp", ("c++",), loses=(100, 1280)
    ),
    "platformio-esp32": Example(
        "platformio",
        ("examples/listen_esp32/src/main.c", "examples/listen_esp32/src/microphone.c"),
        "esp_idf",
        "esp_idf.c",
        is_i2s=True,
        loses=(100, 240),
    ),
    "arduino-pdm": Example(
        "arduino", ("examples/listen_pdm/listen_pdm.ino",), "arduino", "core.cpp", ("c++",), loses=(100, 1280)
    ),
    "arduino-i2s": Example(
        "arduino", ("examples/listen_i2s/listen_i2s.ino",), "arduino", "core.cpp", ("c++",), is_i2s=True
    ),
    "zephyr": Example("zephyr", ("samples/listen/src/main.c",), "zephyr", "zephyr.c", loses=(100, 320)),
    "esp-idf-i2s": Example(
        "esp-idf",
        ("examples/listen/main/main.c", "examples/listen/main/microphone_i2s.c"),
        "esp_idf",
        "esp_idf.c",
        is_i2s=True,
        loses=(100, 240),
    ),
    "esp-idf-pdm": Example(
        "esp-idf",
        ("examples/listen/main/main.c", "examples/listen/main/microphone_pdm.c"),
        "esp_idf",
        "esp_idf.c",
        loses=(100, 240),
    ),
}
CASES = [(name, language) for name, example in EXAMPLES.items() for language in example.languages]


def run(*command: object, cwd: Path | None = None) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    live = LiveSpec(threshold=0.3, windows=2, min_seconds=0.05, gate=True)
    return make_live_bundle(tmp_path_factory.mktemp("bundle"), live, seed=0)


@pytest.fixture(scope="module")
def exports(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("exports")
    return {name: export_bundle(bundle, name, root / name).directory for name in FORMATS}


@pytest.fixture(scope="module")
def objects(exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The library, compiled once: its sources are the same in every format."""
    if find_program("cc") is None or find_program("c++") is None:
        pytest.skip("missing: cc or c++")
    directory = tmp_path_factory.mktemp("objects")
    src = exports["cmake"] / "src"
    for name in set(FORMATS) - {"cmake"}:
        for path in src.rglob("*.c"):
            assert (exports[name] / "src" / path.relative_to(src)).read_bytes() == path.read_bytes()
    run("cc", "-O1", f"-I{src}", "-c", *sorted(src.rglob("*.c")), cwd=directory)
    return sorted(directory.glob("*.o"))


@pytest.fixture(scope="module")
def pcm() -> Pcm:
    """Noise and tones whose level jumps, with silence between and behind them: every event has an end."""
    random = np.random.default_rng(5)
    parts: list[npt.NDArray[np.float64]] = []
    for i in range(14):
        tone = np.sin(np.arange(8000) * random.uniform(0.02, 1.5))
        parts.append(random.choice([200.0, 3000.0, 20000.0]) * (random.normal(0, 0.3, 8000) + tone))
        parts += [np.zeros(8000)] * (i % 3 == 2)
    return np.clip(np.concatenate([*parts, np.zeros(3 * RATE)]), -32768, 32767).astype(np.int16)


def as_i2s(pcm: Pcm, directory: Path) -> Pcm:
    """What the runtime makes of an I2S microphone's words with a gain of 16: the slow mean is gone."""
    library = build_library(directory, ["audio/i2s.c", "audio/level.c"])
    state = ctypes.create_string_buffer(256)
    assert library.stapes_i2s_init(state, 2, 0, 0, 16 * 256) == 0
    words = np.zeros(2 * len(pcm), dtype=np.int32)
    words[::2] = pcm.astype(np.int32) * 4096
    out = np.zeros(len(pcm), dtype=np.int16)
    library.stapes_i2s_push(
        state, ctypes.c_void_p(words.ctypes.data), ctypes.c_size_t(len(pcm)), ctypes.c_void_p(out.ctypes.data)
    )
    return out


def label(bundle: Bundle, pcm: Pcm, directory: Path, name: str) -> list[tuple[float, float, str]]:
    """The track that `stapes label` writes of these samples."""
    with wave.open(str(directory / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    track = directory / f"{name}.txt"
    label_recording(bundle, directory / f"{name}.wav", track, directory / "build")
    lines = [line.split("\t") for line in track.read_text().splitlines()]
    return [(float(line[0]), float(line[1]), line[2].rsplit(" ", 1)[0]) for line in lines]


@pytest.fixture(scope="module")
def tracks(
    bundle: Bundle, pcm: Pcm, tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, list[tuple[float, float, str]]]:
    """By whether the samples come from an I2S microphone."""
    directory = tmp_path_factory.mktemp("label")
    found = {
        False: label(bundle, pcm, directory, "pdm"),
        True: label(bundle, as_i2s(pcm, directory), directory, "i2s"),
    }
    assert all(len(track) >= 4 for track in found.values())
    return found


@pytest.fixture(scope="module")
def programs(
    exports: dict[str, Path], objects: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """Every example in each of its languages."""
    directory = tmp_path_factory.mktemp("programs")
    built = {}
    for name, language in CASES:
        example, export = EXAMPLES[name], exports[EXAMPLES[name].format]
        includes = [f"-I{export / 'src'}"]
        sources = [export / source for source in example.sources]
        if example.framework:
            includes.append(f"-I{FRAMEWORKS / example.framework}")
        units = []
        for source in sources:
            compiler = LANGUAGES["c++" if source.suffix in (".ino", ".cpp") else language]
            unit = directory / f"{name}.{language}.{source.stem}.o"
            text = directory / f"{name}.{language}.{source.name}"
            text.write_text(source.read_text())
            if language == "c++":  # what a person who turns it into C++ writes
                text.write_text(source.read_text().replace("void app_main", 'extern "C" void app_main'))
            run(*compiler, *WARNINGS, *CHECKS, *includes, f"-I{source.parent}", "-c", text, "-o", unit)
            units.append(unit)
        if example.stand_in:
            unit = directory / f"{name}.{language}.stand_in.o"
            source = FRAMEWORKS / example.framework / example.stand_in
            compiler = "c++" if source.suffix == ".cpp" else "cc"
            run(compiler, *WARNINGS, *CHECKS, *includes, "-c", source, "-o", unit)
            units.append(unit)
        built[name, language] = directory / f"{name}.{language}"
        run("c++", *CHECKS, *units, *objects, "-o", built[name, language])
    return built


def events(
    program: Path, pcm: Pcm, directory: Path, lose: int = 0
) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Complete events that the program tells, and the labels of those that it said to begin."""
    raw = directory / "sound.raw"
    raw.write_bytes(pcm.astype("<i2").tobytes())
    environment = {**os.environ, "WAV": str(raw), "LOSE": str(lose)}
    with raw.open("rb") as stdin:
        done = subprocess.run(
            [program], stdin=stdin, env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stdout + done.stderr
    complete = re.findall(r"^(\d+\.\d{3}) to (\d+\.\d{3}) s: (\w+)$", done.stdout, flags=re.M)
    begun = re.findall(r"^\d+\.\d{3} s: (\w+) begins$", done.stdout, flags=re.M)
    assert len(complete) + len(begun) == len(done.stdout.splitlines())
    return [(float(start), float(end), what) for start, end, what in complete], begun


@pytest.mark.parametrize(("name", "language"), CASES)
def test_an_example_tells_the_events_of_label(
    name: str,
    language: str,
    programs: dict[tuple[str, str], Path],
    tracks: dict[bool, list[tuple[float, float, str]]],
    pcm: Pcm,
    tmp_path: Path,
) -> None:
    expected = tracks[EXAMPLES[name].is_i2s]
    told, begun = events(programs[name, language], pcm, tmp_path)
    assert [what for _, _, what in told] == [what for _, _, what in expected] == begun
    times = np.array([event[:2] for event in told]) - np.array([event[:2] for event in expected])
    assert np.abs(times).max() <= 0.001  # printed in milliseconds


@pytest.mark.parametrize(
    ("name", "language"),
    [case for case in CASES if EXAMPLES[case[0]].loses and case[1] == EXAMPLES[case[0]].languages[0]],
)
def test_what_the_driver_lost_is_told(
    name: str, language: str, programs: dict[tuple[str, str], Path], pcm: Pcm, tmp_path: Path
) -> None:
    planted = EXAMPLES[name].loses
    assert planted is not None
    told, _ = events(programs[name, language], pcm, tmp_path, lose=planted[0])
    ((start, end, _),) = [event for event in told if event[2] == "lost"]
    assert end - start == pytest.approx(planted[1] / RATE, abs=0.0011)
    assert all(event[1] <= start or event[0] >= end for event in told if event[2] != "lost")


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_is_short(name: str, exports: dict[str, Path]) -> None:
    """Under 100 lines that belong to the user: of code, all its files together."""
    example = EXAMPLES[name]
    files = [exports[example.format] / source for source in example.sources if "stdin" not in source]
    files += {header for path in files for header in path.parent.glob("*.h")}
    text = "".join(path.read_text() for path in files)
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    assert len([line for line in code.splitlines() if line.strip()]) < 100
