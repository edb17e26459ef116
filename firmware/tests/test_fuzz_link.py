"""A short run of the fuzzer; docs/link-protocol.md tells how to run it for longer."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.link.frame import encode
from stapes.link.messages import Message

ROOT = Path(__file__).parents[1]
SECONDS = int(os.environ.get("STAPES_FUZZ_SECONDS", "5"))


def records(*requests: tuple[int, bytes]) -> bytes:
    return b"\1" + b"".join(bytes([kind, 0, len(payload)]) + payload for kind, payload in requests)


@pytest.mark.timeout(SECONDS + 600)  # the build, too
@pytest.mark.parametrize("app", ["hil", "live"])
def test_no_input_harms_the_server(tmp_path: Path, app: str) -> None:
    compiler = shutil.which("clang")
    if compiler is None:
        pytest.skip("clang is not installed")
    generated = generate(make_small_bundle(tmp_path / "bundle"), tmp_path / "generated").directory
    sources = [
        *sorted((ROOT / "runtime/src").glob("*.c")),
        *sorted((ROOT / "link").glob("*.c")),
        *sorted((ROOT / "audio").glob("*.c")),
        *sorted(generated.glob("*.c")),
        ROOT / "boards/common/defaults.c",
        ROOT / "app/device.c",
        ROOT / "tests/fuzz_link.c",
    ]
    includes = [*(ROOT / name for name in ("runtime/include", "link", "boards", "audio")), generated]
    program = tmp_path / "fuzz_link"
    built = subprocess.run(
        [
            compiler, "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Werror", '-DSTAPES_BUILD_ID="fuzz"',
            "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all",
            *(["-DFUZZ_LIVE"] if app == "live" else []), *[f"-I{directory}" for directory in includes],
            "-o", program, *sources,
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if "libclang_rt.fuzzer" in built.stderr:
        pytest.skip("clang has no libFuzzer here")
    assert built.returncode == 0, built.stderr
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    sound = records(*[(Message.PCM, bytes(4) + os.urandom(240))] * 70)
    heard = records(*[(Message.LIVE_PCM, bytes(8) + os.urandom(240))] * 70)
    seeds = {
        "live": heard
        + records(
            (Message.LIVE_STATUS, bytes(2)),
            (Message.LIVE_ROWS, b""),
            (Message.LIVE_EVENTS, b""),
            (Message.LIVE_FLUSH, b""),
            (Message.LIVE_LISTEN, b"\1"),
            (Message.RESET, b""),
        )[1:],
        "recorded": records(
            (Message.RECORD, struct.pack("<I", 16000)),
            *[(Message.SAMPLES, b"")] * 20,
            (Message.LIVE_LISTEN, b"\1"),
            (Message.RECORD, bytes(4)),
        ),
        "window": sound
        + records((Message.WINDOW, bytes(4)), (Message.DECISION, bytes(2)), (Message.STATS, b""))[1:],
        "pages": sound + records((Message.FEATURES, bytes(4)), (Message.ACTIVATIONS, bytes(6)))[1:],
        "other": records(
            (Message.RESET, b""), (Message.SELF_TEST, b""), (Message.REBOOT, b""), (Message.FAULT, b"\1")
        ),
        "raw": b"\0"
        + encode(struct.pack("<HBIB", 1, Message.HELLO, 5, 2))
        + encode(struct.pack("<HB", 2, 8)),
    }
    for name, data in seeds.items():
        (corpus / name).write_bytes(data)
    run = subprocess.run(
        [
            program,
            f"-max_total_time={SECONDS}",
            "-max_len=20000",
            "-print_final_stats=1",
            "-timeout=10",
            # The firmware allocates nothing; what the sanitizer's shadow takes with huge pages says nothing of it.
            "-rss_limit_mb=0",
            corpus,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS + 300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    executed = [line for line in run.stderr.splitlines() if "number_of_executed_units" in line]
    assert executed and int(executed[0].split()[-1]) > 100
