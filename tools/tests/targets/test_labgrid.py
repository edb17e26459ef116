"""A board that labgrid hands out: coordinator and exporter run here, the place tells the URL, the check passes."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from network_rig import Rig
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.device import prepare
from stapes.targets import DescriptorStream, open_target

SECONDS = 30.0
PROGRAMS = [f"labgrid-{name}" for name in ("coordinator", "exporter", "client")]

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS),
    reason="labgrid is not installed (its own environment, with its programs on PATH)",
)


@contextmanager
def running(*command: str, directory: Path) -> Iterator[None]:
    with (directory / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < deadline, f"labgrid: {what}"
        time.sleep(0.2)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def labgrid(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Coordinator and exporter that serve `port`; a function that runs labgrid-client."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"

    def client(*arguments: str) -> str:
        command = ["labgrid-client", "-x", coordinator, *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LG_")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve(port: int) -> None:
        resource = f"NetworkSerialPort: {{host: 127.0.0.1, port: {port}, speed: 115200, protocol: raw}}"
        (tmp_path / "exporter.yaml").write_text(f"bench:\n  {resource}\n")
        stack.enter_context(
            running(
                "labgrid-exporter", "-c", coordinator, "--name", "rig", "exporter.yaml", directory=tmp_path
            )
        )
        until(lambda: "rig/bench/NetworkSerialPort" in client("resources"), "the exporter is not seen")

    def call(*arguments: str, port: int | None = None) -> str:
        if port is not None:
            serve(port)
        return client(*arguments)

    with ExitStack() as stack:
        stack.enter_context(running("labgrid-coordinator", "-l", coordinator, directory=tmp_path))
        until(lambda: listens(int(coordinator.rpartition(":")[2])), "the coordinator does not listen")
        yield call


def test_a_place_of_labgrid_is_a_target(labgrid: Callable[..., str], tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle")
    prepared = prepare(bundle, "host", tmp_path / "build")
    assert prepared.build is not None
    with open_target("host", prepared.build.elf) as line:
        assert isinstance(line, DescriptorStream)
        rig = Rig(line, "socket")
        try:
            labgrid("-p", "board", "create", port=int(rig.url.rpartition(":")[2]))
            labgrid("-p", "board", "add-match", "rig/bench/NetworkSerialPort")
            labgrid("-p", "board", "acquire")
            shown = labgrid("-p", "board", "show")
            found = re.search(
                r"Acquired resource 'NetworkSerialPort'.*?\n(\s*\{.*\})", shown, flags=re.DOTALL
            )
            assert found, shown
            parameters = ast.literal_eval(found[1].strip())["params"]
            assert parameters["protocol"] == "raw"
            url = f"socket://{parameters['host']}:{parameters['port']}"
            assert check_bundle(bundle, url, select_clips(bundle, None, 1), tmp_path).passed
            labgrid("-p", "board", "release")
        finally:
            rig.stop()
