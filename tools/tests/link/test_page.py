"""The tables of the documents are those of the definitions."""

import pytest

from stapes.definitions import firmware_dir, limits, limits_page
from stapes.link.page import page_path, protocol_page


def test_the_protocols_tables_are_current() -> None:
    page = page_path().read_text(encoding="utf-8")
    assert page == protocol_page(page), "run: python -m stapes.link.page"
    assert "| 26 | u16 | `n_features` | values in a frame's row |" in page


def test_a_layout_without_a_place_on_the_page_is_noticed() -> None:
    page = page_path().read_text(encoding="utf-8")
    with pytest.raises(KeyError, match="no place for fault_answer"):
        protocol_page(page.replace("<!-- fault_answer -->", ""))


def test_the_page_of_limits_is_current() -> None:
    page = (firmware_dir().parent / "docs/limits.md").read_text(encoding="utf-8")
    assert page == limits_page(), "run: python -m stapes.definitions > docs/limits.md"


def test_what_is_said_of_too_many() -> None:
    assert limits()["CLASSES"].exceeded(40000) == (
        "40000 classes of a network (at most 32767: a class's number has 16 bits, negative ones say that there is none)"
    )
