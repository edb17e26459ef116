"""The rooms import one way only, as docs/architecture.md says."""

import ast
import re
from pathlib import Path

import stapes

PACKAGE = Path(stapes.__file__).parent
ROOT = PACKAGE.parents[1]
EVERYBODY = {"definitions", "errors", "files"}


def documented_rooms() -> list[str]:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def imported_rooms(path: Path) -> set[tuple[str, int]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; name the room"
            names = [node.module or ""]
            if node.module == "stapes":
                names = [f"stapes.{alias.name}" for alias in node.names]
        found |= {(name.split(".")[1], node.lineno) for name in names if name.startswith("stapes.")}
    return found


def test_every_room_is_documented_and_exists() -> None:
    on_disk = {
        path.parent.name for path in PACKAGE.glob("*/__init__.py") if not path.parent.name.startswith("_")
    }
    assert set(documented_rooms()) == on_disk


def test_imports_go_one_way() -> None:
    order = documented_rooms()
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] == "_firmware":
            continue
        room = parts[0] if len(parts) > 1 else path.stem.replace("__main__", "cli")
        for imported, line in imported_rooms(path):
            if imported in EVERYBODY or imported.startswith("__") or imported == room:
                continue
            if room in EVERYBODY or room not in order or order.index(imported) > order.index(room):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_a_backward_import_would_be_seen(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("def f():\n    from stapes.cli import app\n    import stapes.check.run\n")
    assert {room for room, _ in imported_rooms(source)} == {"cli", "check"}
