"""The buffer between an interrupt and the main loop: nothing is lost that is not counted, in its place."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from clibrary import FIRMWARE, WARNINGS, build_library
from hypothesis import given, settings
from hypothesis import strategies as st

E_ARGUMENT = -1
GUARD = 12345


class Ring(ctypes.Structure):
    _fields_ = (
        ("samples", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("mask", "head", "tail", "lost", "published", "dropped")),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = build_library(tmp_path_factory.mktemp("ring"), ["audio/ring.c"])
    for name in ("stapes_ring_write", "stapes_ring_read"):
        function = getattr(library, name)
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library


@settings(max_examples=150, deadline=None)
@given(
    bits=st.integers(0, 6),
    start=st.sampled_from([0, 2**32 - 40]),
    steps=st.lists(st.tuples(st.sampled_from("wrl"), st.integers(0, 90)), max_size=60),
)
def test_every_sample_is_in_its_place(
    library: ctypes.CDLL, bits: int, start: int, steps: list[tuple[str, int]]
) -> None:
    size = 1 << bits
    memory = np.full(size + 2, GUARD, np.int16)
    ring = Ring()
    assert library.stapes_ring_init(ctypes.byref(ring), ctypes.c_void_p(memory.ctypes.data + 2), size) == 0
    ring.head = ring.tail = start  # the indices wrap
    made = taken = 0
    waiting: list[int] = []
    gap = 0  # lost after the last sample that waits
    dropped = 0
    for step, count in steps:
        if step == "w":
            block = np.arange(made, made + count).astype(np.int16)
            kept = library.stapes_ring_write(ctypes.byref(ring), block.ctypes.data, count)
            if gap and waiting:
                expected = 0
            else:
                expected = min(count, size - len(waiting))
                if count:
                    dropped, gap = dropped + gap, 0
            assert kept == expected
            waiting += block[:kept].tolist()
            gap += count - kept
            made += count
        elif step == "l":
            library.stapes_ring_lose(ctypes.byref(ring), ctypes.c_size_t(count))
            gap += count
            made += count
        else:
            pcm = np.full(count + 1, GUARD, np.int16)
            got = library.stapes_ring_read(ctypes.byref(ring), pcm.ctypes.data, count)
            assert got == min(count, len(waiting))
            assert pcm[got] == GUARD
            assert pcm[:got].tolist() == waiting[:got]
            if got:
                place = taken + library.stapes_ring_dropped(ctypes.byref(ring))
                assert pcm[0] == np.int64(place).astype(np.int16)
            del waiting[:got]
            taken += got
        assert memory[0] == memory[-1] == GUARD
    assert made == taken + len(waiting) + dropped + gap


@pytest.mark.parametrize("count", [0, 3, 2**31])
def test_only_powers_of_two(library: ctypes.CDLL, count: int) -> None:
    memory = np.zeros(4, np.int16)
    ring = Ring()
    init = library.stapes_ring_init
    assert init(ctypes.byref(ring), ctypes.c_void_p(memory.ctypes.data), ctypes.c_size_t(count)) == E_ARGUMENT
    assert init(ctypes.byref(ring), None, ctypes.c_size_t(4)) == E_ARGUMENT
    assert init(None, ctypes.c_void_p(memory.ctypes.data), ctypes.c_size_t(4)) == E_ARGUMENT


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_two_threads_without_a_lock(tmp_path: Path, sanitizer: str) -> None:
    program = tmp_path / "threads"
    subprocess.run(
        [
            "cc", "-g", "-O2", *WARNINGS, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-pthread",
            f"-I{FIRMWARE / 'audio'}", f"-I{FIRMWARE / 'runtime/include'}", "-o", str(program),
            str(FIRMWARE / "audio/ring.c"), str(FIRMWARE / "tests/ring_threads.c"),
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong, taken, lost, made = map(int, done.stdout.split())
    assert wrong == 0
    assert taken + lost == made
    assert taken > 0
