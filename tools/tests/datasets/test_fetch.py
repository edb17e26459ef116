"""Fetching, against a server of our own that can break off, lie, and not know ranges."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import resource
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("pooch", reason="the audio packages are not installed")

from stapes.datasets import catalogue
from stapes.datasets.catalogue import PUBLISHED, Published, describe, published
from stapes.datasets.fetch import fetch
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

CONTENT = bytes(range(256)) * 12000


class Server(ThreadingHTTPServer):
    """Gives `content`; breaks off `breaks` times after `after` bytes; `ranges` tells whether it knows them."""

    content = b""
    breaks = 0
    after = 0
    ranges = True
    status = 0
    endless = False
    """More than it should, without a Content-Length."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if server.status:
            self.send_error(server.status)
            return
        if server.endless:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: server.after]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def archive(folder: str, kind: str = "tar.gz", extra: str = "") -> bytes:
    """An archive with FOLDER/big.bin and FOLDER/sub/small.txt."""
    stream = io.BytesIO()
    files = {"big.bin": CONTENT, "sub/small.txt": b"small"}
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as made:
            for name, data in files.items():
                made.writestr(f"{folder}/{name}".lstrip("/"), data)
    else:
        # Hardly compressed: the transfer should be long.
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=0) as made:
            for name, data in {**files, **({extra: b"evil"} if extra else {})}.items():
                member = tarfile.TarInfo(f"{folder}/{name}".lstrip("/"))
                member.size = len(data)
                made.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def source_of(server: Server, folder: str = "Set", kind: str = "tar.gz") -> Published:
    digest = hashlib.sha256(server.content).hexdigest()
    return replace(
        PUBLISHED[0],
        name="set",
        url=f"http://127.0.0.1:1/x.{kind}",
        known_hash=f"sha256:{digest}",
        folder=folder,
    )


@pytest.mark.parametrize(("folder", "kind"), [("Set", "tar.gz"), ("", "tar.gz"), ("Set-abc", "zip")])
def test_an_archive_is_fetched_checked_and_unpacked(
    tmp_path: Path, server: Server, folder: str, kind: str
) -> None:
    server.content = archive(folder, kind)
    steps = []
    directory = fetch(
        source_of(server, folder, kind),
        tmp_path / "a" / "data",
        url=server.url,
        progress=lambda what, done, total: steps.append((what, done, total)),
    )
    assert (directory / "big.bin").read_bytes() == CONTENT
    assert (directory / "sub" / "small.txt").read_bytes() == b"small"
    assert [path.name for path in directory.parent.iterdir()] == ["data"], "neither archive nor part is left"
    size = len(server.content)
    assert ("downloading", size, size) in steps


def test_an_interrupted_transfer_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.content = archive("Set")
    server.breaks, server.after = 1, 1_500_000
    directory = fetch(source_of(server), tmp_path / "data", url=server.url)
    assert (directory / "big.bin").read_bytes() == CONTENT
    assert len(server.asked) == 2
    assert server.asked[0] == "bytes=0-"
    begun = int(str(server.asked[1]).removeprefix("bytes=").rstrip("-"))
    assert 0 < begun <= 1_500_000


def test_after_many_interruptions_the_next_command_goes_on(tmp_path: Path, server: Server) -> None:
    server.content = archive("Set")
    server.breaks, server.after = 3, 700_000
    with pytest.raises(DataError, match="bytes kept") as caught:
        fetch(source_of(server), tmp_path / "data", url=server.url)
    assert "goes on" in caught.value.hint
    assert not (tmp_path / "data").exists()
    kept = (tmp_path / "data.tar.gz.part").stat().st_size
    server.breaks = 0
    directory = fetch(source_of(server), tmp_path / "data", url=server.url)
    assert (directory / "big.bin").read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={kept}-"


def test_a_server_without_ranges_starts_again(tmp_path: Path, server: Server) -> None:
    server.content = archive("Set")
    server.ranges, server.breaks, server.after = False, 1, 1_500_000
    directory = fetch(source_of(server), tmp_path / "data", url=server.url)
    assert (directory / "big.bin").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_what_was_complete_is_not_fetched_again(tmp_path: Path, server: Server) -> None:
    server.content = archive("Set")
    (tmp_path / "data.tar.gz.part").write_bytes(server.content)
    directory = fetch(source_of(server), tmp_path / "data", url=server.url)
    assert (directory / "sub" / "small.txt").exists()
    assert server.asked == [f"bytes={len(server.content)}-"]


@pytest.mark.parametrize("how", ["other content", "damaged part", "shorter"])
def test_a_wrong_checksum_leaves_nothing(tmp_path: Path, server: Server, how: str) -> None:
    server.content = archive("Set")
    source = source_of(server)
    part = tmp_path / "data.tar.gz.part"
    if how == "other content":
        server.content = server.content[:-100] + bytes(100)
    elif how == "damaged part":
        part.write_bytes(bytes(1000))
    else:
        part.write_bytes(server.content)
        server.content = server.content[:-100]
    with pytest.raises(DataError, match="not the archive that was published"):
        fetch(source, tmp_path / "data", url=server.url)
    assert list(tmp_path.iterdir()) == []
    if how == "damaged part":
        assert fetch(source, tmp_path / "data", url=server.url).is_dir(), "the next try is clean"


@pytest.mark.parametrize("how", ["says so", "endless", "longer than it says"])
def test_no_more_is_taken_than_the_archive_has(tmp_path: Path, server: Server, how: str) -> None:
    server.content = archive("Set")
    source = replace(source_of(server), megabytes=1)
    if how == "endless":
        server.endless = True
    elif how == "longer than it says":
        server.ranges = False
        (tmp_path / "data.tar.gz.part").write_bytes(bytes(3 << 20))
    asked = []
    with pytest.raises(
        DataError, match=r"not the archive that was published: it goes on after 2,097,152 bytes"
    ):
        fetch(
            source, tmp_path / "data", url=server.url, progress=lambda what, done, total: asked.append(done)
        )
    assert max(asked, default=0) <= 2 << 20
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_has_nothing_of_it(tmp_path: Path, server: Server) -> None:
    """416 without a part of ours."""
    server.content = b""
    with pytest.raises(DataError, match="status 416"):
        fetch(source_of(server), tmp_path / "data", url=server.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["part", "unpacking", "directory"])
def test_a_full_disk_is_named_and_the_next_command_goes_on(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    server.content = archive("Set")
    source, out = source_of(server), tmp_path / "data"
    if where == "directory":
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(DataError, match=r"cannot be written \(Not a directory\)"):
            fetch(source, tmp_path / "file" / "x" / "data", url=server.url)
        return
    if where == "part":
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
        try:
            with pytest.raises(DataError, match=r"cannot be written \(File too large\)") as caught:
                fetch(source, out, url=server.url)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "data.tar.gz.part").stat().st_size > 0
    else:

        def refuse(*arguments: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("shutil.unpack_archive", refuse)
            with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)") as caught:
                fetch(source, out, url=server.url)
    assert "when there is room" in caught.value.hint
    assert not out.exists()
    assert (fetch(source, out, url=server.url) / "big.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses(tmp_path: Path, server: Server, status: int) -> None:
    server.content, server.status = b"x", status
    with pytest.raises(DataError, match=f"status {status}"):
        fetch(source_of(server), tmp_path / "data", url=server.url)


def test_no_server_at_all(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DataError, match="ConnectionError"):
        fetch(source_of(server), tmp_path / "data")


def test_an_existing_directory_is_left_alone(tmp_path: Path, server: Server) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="exists already"):
        fetch(source_of(server), tmp_path / "data", url=server.url)
    assert not server.asked


def test_an_archive_cannot_write_outside(tmp_path: Path, server: Server) -> None:
    server.content = archive("Set", extra="../../../evil.txt")
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch(source_of(server), tmp_path / "deep" / "er" / "data", url=server.url)
    assert not list(tmp_path.rglob("evil.txt"))
    assert not (tmp_path / "deep" / "er" / "data").exists()


def test_an_archive_of_another_version(tmp_path: Path, server: Server) -> None:
    server.content = archive("Other")
    with pytest.raises(DataError, match="holds no Set"):
        fetch(source_of(server), tmp_path / "data", url=server.url)
    assert not (tmp_path / "data").exists()


def test_the_command_shows_the_licence_first(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from stapes.cli.app import app

    server.content = archive("Set")
    source = source_of(server)
    monkeypatch.setattr(catalogue, "PUBLISHED", (source,))
    runner = CliRunner()
    asked = runner.invoke(app, ["data", "fetch", "set", "--out", str(tmp_path / "d"), "--url", server.url])
    assert isinstance(asked.exception, DataError)
    assert "--accept-licence" in asked.exception.hint
    assert source.licence in asked.output.replace("\n", " ")
    assert not server.asked
    arguments = [
        "data",
        "fetch",
        "set",
        "--out",
        str(tmp_path / "d"),
        "--url",
        server.url,
        "--accept-licence",
    ]
    done = runner.invoke(app, [*arguments, "--json", str(tmp_path / "j.json")], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads((tmp_path / "j.json").read_text())["directory"] == str(tmp_path / "d")
    assert (tmp_path / "d" / "big.bin").is_file()


def test_every_published_data_set_can_be_opened_and_described() -> None:
    for item in PUBLISHED:
        assert published(item.name) is item
        kind, _, digest = item.known_hash.partition(":")
        assert len(digest) == {"md5": 32, "sha256": 64}[kind]
        assert "Creative Commons" in item.licence
        assert item.citation in describe(DatasetSpec(kind=item.kind, subset="all"), 5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no published data set 'imagenet'"):
        published("imagenet")
    for kind in ("synthetic", "folders", "csv", "audacity"):
        assert describe(DatasetSpec(kind=kind), 5)  # type: ignore[arg-type]
    said = describe(DatasetSpec(kind="csv", credits="Words of six speakers, CC BY 4.0."), 6)
    assert said.startswith("Words of six speakers, CC BY 4.0. They are listed in a table, in 6 folds;")
