"""Asks every address that the documents and the sources name whether it is still there: the proof that the test suite
cannot give, as it uses no network.

    python tools/try_links.py [--offline] [FILE…]

`--offline` looks at their spelling alone, as the suite does. Exits with 1 where an address is misspelt or gone, with 2
where a host did not answer, which says nothing of the link.
"""

from __future__ import annotations

import argparse
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
SECONDS = 20
_ADDRESS = re.compile(r"https?://[^\s\"'`<>)\]}]*")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")


def addresses(path: Path) -> list[str]:
    """Those of one file, without what belongs to the sentence; the file's own machine and placeholders are none."""
    found = _ADDRESS.findall(path.read_text(encoding="utf-8"))
    links = {link.rstrip(".,;:") for link in found}
    return sorted(link for link in links if "{" not in link and "://127.0.0.1" not in link)


def misspelt(link: str) -> bool:
    """Whether no such address can exist, or a browser would read it otherwise."""
    parts = urlsplit(link)
    return not _HOST.fullmatch(parts.hostname or "") or "//" in parts.path or not link.isascii()


def answer(link: str) -> str:
    """`ok`, `gone: …` or `not reached: …`."""
    request = urllib.request.Request(link, method="HEAD", headers={"User-Agent": "Mozilla/5.0"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return "ok"
    except urllib.error.HTTPError as error:
        return f"gone: {error}" if error.code in (404, 410) else f"not reached: {error}"
    except OSError as error:
        return f"not reached: {getattr(error, 'reason', error)}"


def main() -> int:
    """The command line; its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--offline", action="store_true", help="look at the spelling alone")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: documents and sources")
    options = parser.parse_args()
    files = options.files or [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("tools/stapes/**/*.py"),
    ]
    links = sorted({link for path in files for link in addresses(path)})
    said = []
    for link in links:
        said.append("misspelt" if misspelt(link) else "spelt right" if options.offline else answer(link))
        print(f"{said[-1]:<12}  {link}", flush=True)
    if any(each.startswith(("gone", "misspelt")) for each in said):
        return 1
    return 2 if any(each.startswith("not reached") for each in said) else 0


if __name__ == "__main__":
    sys.exit(main())
