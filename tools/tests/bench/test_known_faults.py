"""What an emulator itself computes wrongly is said by name, and is not called the firmware's."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from stapes.bench import frontend
from stapes.targets import known_fault

ANSWER = "status 0 hash {hash} frames 2 counter 2 ticks 10 numerator 1 denominator 1 memory 4 stack 8\n"


class Line:
    def __init__(self, text: str) -> None:
        self.text = text.encode()

    def read(self, size: int = 1) -> bytes:
        return self.text


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Let every target answer with this hash, without a build; what was built is noted."""
    built: list[object] = []

    def build(*arguments: object, definitions: object = None) -> SimpleNamespace:
        built.append(definitions)
        return SimpleNamespace(elf=Path("none"))

    def make(hash_: int) -> list[object]:
        line = Line(ANSWER.format(hash=hash_))
        monkeypatch.setattr(frontend, "open_target", lambda target, elf: nullcontext(line))
        return built

    features = SimpleNamespace(tobytes=lambda: b"right")
    monkeypatch.setattr(frontend, "build_firmware", build)
    monkeypatch.setattr(frontend, "require_target", lambda target: None)
    monkeypatch.setattr(frontend, "_flash", lambda directory, elf: (1, 1))
    monkeypatch.setattr(frontend, "signals", lambda: None)
    monkeypatch.setattr(frontend.FixedFrontend, "features", lambda self, pcm, output: features)
    return make


RIGHT = frontend._fnv1a(b"right")


@pytest.mark.parametrize(
    ("target", "options", "value", "status", "words"),
    [
        (
            "renode:stm32f4_discovery",
            (),
            RIGHT + 1,
            1,
            "not shown to be the reference's, known of Renode: its SMLALD",
        ),
        ("renode:stm32f4_discovery", (), RIGHT, 0, "equal to the reference"),
        ("renode:stm32f4_discovery", ("--portable",), RIGHT + 1, 1, "DIFFERENT from the reference"),
        ("renode:stm32f072b_discovery", (), RIGHT + 1, 1, "DIFFERENT from the reference"),
        ("qemu:mps2-an386", (), RIGHT + 1, 1, "DIFFERENT from the reference"),
    ],
)
def test_what_the_front_end_is_called(
    target: str,
    options: tuple[str, ...],
    value: int,
    status: int,
    words: str,
    answer,
    run_stapes,
    tmp_path: Path,
) -> None:  # type: ignore[no-untyped-def]
    built = answer(value)
    code, said = run_stapes("bench", "frontend", "--target", target, "--out", str(tmp_path), *options)
    assert (code, words in said) == (status, True), said
    assert built == [frontend.PORTABLE if options else None]


def test_which_targets_have_a_fault() -> None:
    renode = {f"renode:{name}": known_fault(f"renode:{name}") for name in ("nucleo_l552ze_q", "esp32c3")}
    assert "SMLALD" in str(renode["renode:nucleo_l552ze_q"])
    assert renode["renode:esp32c3"] is None
    assert known_fault("qemu:netduinoplus2") is None
    assert known_fault("board:stm32f4_discovery@/dev/ttyACM0") is None
