"""For mkdocs.yml: in the sources a page may link to files beside docs/; in the site these are only named."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs/ become their text."""
    return _OUTSIDE.sub(r"\1", markdown)
