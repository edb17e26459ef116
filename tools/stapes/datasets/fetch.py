"""Fetching a published data set: its licence accepted, its archive checked, its files complete or not there at all.

pooch downloads and checks; it begins again after an interruption, so its downloader is one that goes on where the
last one stopped (`Range`, RFC 9110). What was fetched so far lies beside the archive as `.part`.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from stapes.datasets.catalogue import Published
from stapes.errors import DataError
from stapes.packages import needed_for
from stapes.progress import Progress, no_progress

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3
_BAD_ARCHIVE = (
    *(OSError, ValueError, EOFError, zlib.error),
    *(tarfile.TarError, zipfile.BadZipFile, shutil.ReadError),
)


class _Resuming:
    """A downloader for pooch that keeps what it has in `part` and asks only for the rest; it takes `most` bytes."""

    def __init__(self, part: Path, most: int, progress: Progress) -> None:
        self._part, self._most, self._progress = part, most, progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        with needed_for("fetching", "requests"):
            import requests
        have = self._part.stat().st_size if self._part.exists() else 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            if response.status_code == 416 and have:
                have = self._complete(response, have)
            else:
                response.raise_for_status()
                # A server that does not know ranges sends everything from the beginning (200).
                have = have if response.status_code == 206 else 0
                total = have + int(response.headers.get("Content-Length", 0))
                self._require_size(url, total)
                with self._part.open("ab" if have else "wb") as stream:
                    for chunk in response.iter_content(_CHUNK):
                        have += len(chunk)
                        self._require_size(url, have)
                        stream.write(chunk)
                        self._progress("downloading", have, max(total, have))
                if have < total:
                    raise requests.exceptions.ConnectionError(f"{have} of {total} bytes came")
        self._part.replace(output_file)

    def _require_size(self, url: str, size: int) -> None:
        if size > self._most:
            self._part.unlink(missing_ok=True)
            raise DataError(
                f"{url}: not the archive that was published: it goes on after {self._most:,} bytes",
                hint="give another --url; nothing was kept",
            )

    def _complete(self, response: Any, have: int) -> int:
        """The server has nothing after `have`: all is here, or what is here is longer than the archive."""
        total = str(response.headers.get("Content-Range", "")).rpartition("/")[2]
        if total.isdecimal() and int(total) != have:
            self._part.unlink()
            raise ValueError("the file on the server is shorter than what was fetched of it")
        return have


def fetch(source: Published, out: Path, *, url: str = "", progress: Progress = no_progress) -> Path:
    """Download, check and unpack `source` into the directory `out`; gives the data directory.

    An interrupted download goes on with the next call. `url` names another place of the same archive. Nothing is
    done where `out` exists already. Raises `DataError` for a server that fails, an archive of another content or
    length, and a place that cannot be written.
    """
    try:
        return _fetch(source, out, url, progress)
    except OSError as error:
        raise DataError(
            f"{error.filename or out}: cannot be written ({error.strerror or error})",
            hint="the same command goes on where this one stopped, when there is room; or choose another --out",
        ) from error


def _fetch(source: Published, out: Path, url: str, progress: Progress) -> Path:
    if out.exists():
        raise DataError(f"{out} exists already", hint="choose another --out, or delete it to fetch again")
    out.parent.mkdir(parents=True, exist_ok=True)
    archive = _download(source, out, url or source.url, progress)
    progress("unpacking", 0, 1)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        content = Path(temporary) / "content"
        try:
            # The filter refuses paths outside of the directory, links and devices; zip files hold only files.
            options: dict[str, Any] = {} if archive.suffix == ".zip" else {"filter": "data"}
            shutil.unpack_archive(archive, content, **options)
        except _BAD_ARCHIVE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(
                f"{archive} cannot be unpacked ({error})", hint="delete it and fetch again"
            ) from error
        if not (content / source.folder).is_dir():
            raise DataError(
                f"{archive} holds no {source.folder}", hint="this stapes knows another version of it"
            )
        (content / source.folder).replace(out)
    archive.unlink()
    progress("unpacking", 1, 1)
    return out


def _download(source: Published, out: Path, url: str, progress: Progress) -> Path:
    with needed_for("fetching", "pooch", "requests"):
        import pooch
        import requests
    pooch.get_logger().setLevel("ERROR")
    name = f"{out.name}.zip" if source.url.endswith(".zip") else f"{out.name}.tar.gz"
    part = out.parent / f"{name}.part"
    try:
        for attempt in range(_ATTEMPTS):
            try:
                pooch.retrieve(
                    url,
                    known_hash=source.known_hash,
                    fname=name,
                    path=out.parent,
                    # Megabytes of publishers have a million bytes or 2^20.
                    downloader=_Resuming(part, source.megabytes + 1 << 20, progress),
                )
                return out.parent / name
            except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
                if attempt == _ATTEMPTS - 1:
                    raise
    except requests.exceptions.SSLError as error:
        raise DataError(
            f"{url}: its certificate was refused",
            hint="check this computer's clock and certificates, or give --url",
        ) from error
    except requests.exceptions.RequestException as error:
        kept = f" ({part.stat().st_size:,} bytes kept)" if part.exists() else ""
        raise DataError(
            f"{url}: {_reason(error)}{kept}", hint="the same command goes on where this one stopped"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{url}: not the archive that was published ({source.known_hash} expected)",
            hint="fetch it by hand and compare; nothing was unpacked",
        ) from error
    raise AssertionError("either returned or raised")


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"status {response.status_code}" if response is not None else type(error).__name__
