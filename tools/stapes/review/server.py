"""The review's page, served on this machine to this machine only.

Every address begins with a token that only the printed one has; requests for another host's name (a page elsewhere
whose name was pointed here) and changes that come from another page are refused.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stapes.datasets.audio import wav_bytes
from stapes.errors import StapesError
from stapes.files import parse_json
from stapes.recipe import FrontendSpec
from stapes.report.heard import spectrogram
from stapes.review.review import Entry, Review
from stapes.version import __version__

_PAGE = Path(__file__).parent / "page"
_FILES = {"": ("review.html", "text/html; charset=utf-8"), "review.js": ("review.js", "text/javascript")}
_MOST_BODY = 1 << 16
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ReviewServer(ThreadingHTTPServer):
    """Serves a `Review` on 127.0.0.1 until `shutdown`; port 0 takes a free one. Raises `StapesError` for one in use."""

    daemon_threads = True

    def __init__(self, review: Review, frontend: FrontendSpec, name: str, port: int = 0) -> None:
        self.review, self.frontend, self.bundle_name = review, frontend, name
        self.token = secrets.token_urlsafe(18)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise StapesError(
                f"port {port}: {error.strerror}", hint="give another --port, or none"
            ) from error

    @property
    def url(self) -> str:
        """The page's address, token included."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version = f"stapes/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for what changed."""

    def do_GET(self) -> None:
        """The page, its script, the list of clips, and each clip's sound and picture."""
        path = self._path()
        if path is None:
            return
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(200, (_PAGE / name).read_bytes(), kind)
        elif path == "clips.json":
            self._json(200, self._everything())
        elif found := re.fullmatch(r"(sound|picture)/([0-9]{1,9})", path):
            self._clip(found[1], int(found[2]))
        else:
            self._json(404, {"error": "there is no such page"})

    def do_POST(self) -> None:
        """A correction: {"clip": number, "labels": [...], "left_out": true or false, "nothing": true or false}."""
        path = self._path()
        if path is None:
            return
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Origin") not in (None, *self._origins()):
            self._refuse("a page of another origin changes nothing here")
        elif path != "label" or self.headers.get_content_type() != "application/json":
            self._refuse("changes are JSON to label")
        elif not length.isdecimal() or int(length) > _MOST_BODY:
            self._refuse("too long, or of no length")
        else:
            self._correct(self.rfile.read(int(length)))

    def _correct(self, body: bytes) -> None:
        try:
            asked = parse_json(body)
            number, labels = asked["clip"], asked["labels"]
            left_out, nothing = asked.get("left_out", False), asked.get("nothing", False)
            flags = {type(left_out), type(nothing)}
            if type(number) is not int or flags != {bool} or not _is_texts(labels):
                raise ValueError("a number, a list of labels, and whether it is left out or holds nothing")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._json(400, {"error": f"no correction: {error}"})
            return
        try:
            entry = self.server.review.correct(number, labels, left_out, nothing)
        except StapesError as error:
            self._json(400, {"error": str(error)})
            return
        self._json(200, self._entry(number, entry))

    def _everything(self) -> dict[str, Any]:
        review = self.server.review
        return {
            "directory": str(review.directory),
            "bundle": self.server.bundle_name,
            "labels": review.labels,
            "clips": [self._entry(number, entry) for number, entry in enumerate(review.entries)],
        }

    def _entry(self, number: int, entry: Entry) -> dict[str, Any]:
        return {
            "clip": number,
            "name": entry.clip.name,
            "was": entry.was,
            "labels": entry.labels,
            "left_out": entry.left_out,
            "was_nothing": entry.was_nothing,
            "nothing": entry.nothing,
            "fold": entry.fold,
            "said": entry.said,
            "right": self.server.review.is_right(entry),
            "scores": sorted(entry.scores.items(), key=lambda item: -item[1]),
            "problem": entry.problem,
        }

    def _clip(self, what: str, number: int) -> None:
        entries = self.server.review.entries
        if number >= len(entries):
            self._json(404, {"error": "there is no such clip"})
            return
        try:
            pcm = entries[number].clip.pcm
        except StapesError as error:
            self._json(404, {"error": error.message})
            return
        spec = self.server.frontend
        if what == "sound":
            self._send(200, wav_bytes(pcm, spec.sample_rate), "audio/wav")
        else:
            self._send(200, spectrogram(pcm, spec), "image/png")

    def _origins(self) -> tuple[str, ...]:
        return tuple(f"http://{host}" for host in self._hosts())

    def _hosts(self) -> tuple[str, ...]:
        return tuple(f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost"))

    def _path(self) -> str | None:
        """What comes after the token; None where the request was refused."""
        if self.headers.get("Host") not in self._hosts():
            self._refuse("this is not the name of this machine")
            return None
        token, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse("the address lacks its token: open the one that stapes review printed")
            return None
        return rest

    def _refuse(self, reason: str) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        self._json(403, {"error": reason})

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        """The whole of it, or the part that is asked for: players look into the middle of a sound."""
        part = re.fullmatch(r"bytes=([0-9]{1,12})-([0-9]{0,12})", self.headers.get("Range", ""))
        total, first, last = len(content), 0, len(content) - 1
        if part and status == 200 and int(part[1]) < total:
            first, last = int(part[1]), min(int(part[2] or last), last)
            content, status = content[first : last + 1], 206
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _POLICY),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
