"""The rooms import one way only, as docs/architecture.md says."""

import ast
import re
from pathlib import Path

import stapes

PACKAGE = Path(stapes.__file__).parent
ROOT = PACKAGE.parents[1]
EVERYBODY = {"definitions", "errors", "files", "packages", "programs", "progress", "version"}


def documented_rooms() -> list[str]:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def imports(path: Path, package: Path = PACKAGE) -> dict[Path, int]:
    """The files of the package that a file imports, anywhere in it (`if TYPE_CHECKING:` included), and the line."""

    def file_of(module: str) -> Path | None:
        at = package.joinpath(*module.split(".")[1:])
        return next((file for file in (at.with_suffix(".py"), at / "__init__.py") if file.is_file()), None)

    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; name the room"
            module = node.module or ""
            names = [inner if file_of(inner := f"{module}.{alias.name}") else module for alias in node.names]
        for name in names:
            if name.partition(".")[0] == "stapes" and (file := file_of(name)):
                found.setdefault(file, node.lineno)
    return found


def room_of(path: Path, package: Path = PACKAGE) -> str:
    """The folder, or the name of a file that is in none; `__main__` is the command line's."""
    parts = path.relative_to(package).parts
    return parts[0] if len(parts) > 1 else path.stem.replace("__main__", "cli")


def sources(package: Path = PACKAGE) -> list[Path]:
    """All files but the front door: `stapes/__init__.py` imports what it promises when somebody asks for it."""
    door = package / "__init__.py"
    return [path for path in sorted(package.rglob("*.py")) if "_firmware" not in path.parts and path != door]


def circle(package: Path = PACKAGE) -> list[str]:
    """Files that import each other in turn, the first of them again at the end; empty where there are none."""
    paths = sources(package)
    edges = {path: [found for found in imports(path, package) if found in paths] for path in paths}
    done: set[Path] = set()

    def walk(path: Path, trail: list[Path]) -> list[Path]:
        if path in trail:
            return [*trail[trail.index(path) :], path]
        if path not in done:
            for imported in edges[path]:
                if found := walk(imported, [*trail, path]):
                    return found
            done.add(path)
        return []

    found = next(filter(None, (walk(path, []) for path in edges)), [])
    return [str(path.relative_to(package)) for path in found]


def test_every_room_is_documented_and_exists() -> None:
    on_disk = {
        path.parent.name for path in PACKAGE.glob("*/__init__.py") if not path.parent.name.startswith("_")
    }
    assert set(documented_rooms()) == on_disk


def test_imports_go_one_way() -> None:
    order = documented_rooms()
    wrong = []
    for path in sources():
        room = room_of(path)
        for file, line in imports(path).items():
            imported = room_of(file)
            if imported in EVERYBODY or imported.startswith("__") or imported == room:
                continue
            if room in EVERYBODY or room not in order or order.index(imported) > order.index(room):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_turn() -> None:
    assert circle() == []


def test_nobody_inside_comes_in_by_the_front_door() -> None:
    door = PACKAGE / "__init__.py"
    assert [str(path) for path in sources() if door in imports(path)] == []


def test_the_room_itself_is_imported_from_outside_only() -> None:
    """A file that imports its own room's `__init__.py` needs all of its neighbours to be there before it."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports its own room"
        for path in sources()
        for file, line in imports(path).items()
        if file.name == "__init__.py" and file.parent in path.parents and file.parent != PACKAGE
    ]
    assert not wrong, "\n".join(wrong)


def test_the_compiler_needs_arithmetic_alone() -> None:
    """Neither an interpreter nor what the device must compute, so that the two stay apart."""
    order = documented_rooms()
    assert order.index("int8") < order.index("compiler") < order.index("reference")


def test_a_backward_import_and_a_circle_would_be_seen(tmp_path: Path) -> None:
    package = tmp_path / "stapes"
    for file, text in {
        "cli/__init__.py": "",
        "check/__init__.py": "from stapes.check import run, plain\n",
        "check/run.py": "def f():\n    from stapes.cli import app\n    import stapes.check.clips\n",
        "check/clips.py": "from stapes.check.view import show\n",
        "check/view.py": "if TYPE_CHECKING:\n    from stapes.check.run import f\n",
        "check/plain.py": "",
    }.items():
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(text)
    seen = {
        file.relative_to(package).as_posix(): line
        for file, line in imports(package / "check/run.py", package).items()
    }
    assert seen == {"cli/__init__.py": 2, "check/clips.py": 3}
    assert room_of(package / "cli/__init__.py", package) == "cli"
    assert circle(package) == ["check/run.py", "check/clips.py", "check/view.py", "check/run.py"]
