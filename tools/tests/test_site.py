"""The documentation as a site: no warnings, no dead links, nothing from a network."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and MkDocs make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r"- (?:\w+: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    assert sorted(menu) == sorted(str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md"))


class Page(HTMLParser):
    """What a page of the site leads to, fetches, and can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        self.anchors |= {have[key] or "" for key in ("id", "name") if key in have}
        if tag == "a" and have.get("href"):
            self.links.add(have["href"] or "")
        elif tag in ("img", "script", "link") and have.get("rel") not in ("canonical", "prev", "next"):
            self.fetched |= {value for key in ("src", "href") if (value := have.get(key))}


def test_the_site(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=quiet)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) == len(list(ROOT.glob("docs/**/*.md")))
    for path, page in pages.items():
        for link in page.links | page.fetched:
            parts = urlsplit(link)
            if parts.scheme:
                assert link not in page.fetched, f"{path.name} fetches {link}"
                continue
            leads_to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert leads_to.exists(), f"{path.name}: {link}"
            if parts.fragment and leads_to in pages:
                assert unquote(parts.fragment) in pages[leads_to].anchors, f"{path.name}: {link}"


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def try_links() -> ModuleType:
    spec = importlib.util.spec_from_file_location("try_links", ROOT / "tools/try_links.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_addresses_are_spelt_right(
    try_links: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["try_links.py", "--offline"])
    assert try_links.main() == 0
    assert "https://renode.io\n" in capsys.readouterr().out
    for bad in (
        "https://",
        "https://renode",
        "https://re node.io",
        "https://ren..ode.io",
        "https://renode.io//x",
    ):
        (tmp_path / "page.md").write_text(f"See [it]({bad}).")
        monkeypatch.setattr(sys, "argv", ["try_links.py", "--offline", str(tmp_path / "page.md")])
        assert try_links.main() == 1, bad


def test_addresses_are_asked(try_links: ModuleType) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        here = f"http://127.0.0.1:{server.server_port}"
        try:
            assert try_links.answer(f"{here}/there") == "ok"
            assert try_links.answer(f"{here}/not").startswith("gone: ")
        finally:
            server.shutdown()
    assert try_links.answer(f"{here}/there").startswith("not reached: ")
