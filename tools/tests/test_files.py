"""Files that belong together are written together or not at all."""

from pathlib import Path

import pytest

from stapes.files import json_text, parse_json, read_file, write_all


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "old.c").write_text("old")
    before = everything(tmp_path)
    with pytest.raises(OSError):
        write_all(tmp_path, {"old.c": "new", "a/b/c.c": b"x", "old.c/d.c": "a folder that is a file"})
    assert everything(tmp_path) == before and (tmp_path / "old.c").read_text() == "old"
    with pytest.raises(OSError):
        write_all(tmp_path / "new/deep", {"a.c": "x", "b" * 300: "a name that is too long"})
    assert everything(tmp_path) == before
    write_all(tmp_path, {"old.c": "new", "a/b/c.c": b"x"})
    assert everything(tmp_path) == ["a", "a/b", "a/b/c.c", "old.c"]
    assert (tmp_path / "old.c").read_text() == "new"


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    assert read_file(tmp_path / "link") == b"abc"
    for path, options in ((tmp_path / "link", {"follow": False}), (tmp_path, {}), (Path("/dev/zero"), {})):
        with pytest.raises(OSError):
            read_file(path, **options)
    with pytest.raises(OSError, match="3 bytes, at most 2"):
        read_file(tmp_path / "a", 2)


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"[" * 100_000, b"\xff", b""])
def test_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_figure_that_is_none_is_null() -> None:
    """JSON has no nan; the figures beside it must not be lost for that."""
    value = {"a": float("nan"), "b": [1.5, float("inf"), (2, "x")], "c": {"d": -float("inf")}}
    assert parse_json(json_text(value).encode()) == {"a": None, "b": [1.5, None, [2, "x"]], "c": {"d": None}}
    assert parse_json(json_text({"a": 0.5}).encode()) == {"a": 0.5}
