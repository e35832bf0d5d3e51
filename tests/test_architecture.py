"""The house rules that a program can check: imports run one way, between packages and folders."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
ORDER = ("data_prep", "tokenizer", "recsys", "service", "semid")
MOST_FILES = 14
MOST_LINES = 400


def _files(package: str) -> Iterator[Path]:
    whole = ROOT / f"{package}.py"
    return iter([whole]) if whole.is_file() else (ROOT / package).rglob("*.py")


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of each module or object that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _file_of(name: str) -> Path | None:
    """Return the file of ours that an imported name comes from."""
    parts = name.split(".")
    while parts:
        place = ROOT.joinpath(*parts)
        if place.with_suffix(".py").is_file():
            return place.with_suffix(".py")
        if (place / "__init__.py").is_file():
            return place / "__init__.py"
        parts.pop()
    return None


def _room(path: Path) -> str:
    """Return the folder that a file stands in; a file beside a package's folders is its own."""
    place = path.relative_to(ROOT)
    if place.name == "__init__.py":
        return str(place.parent)
    return str(place) if len(place.parts) <= 2 else str(place.parent)


def test_imports_run_only_to_the_left() -> None:
    for position, package in enumerate(ORDER):
        later = set(ORDER[position + 1 :]) | {"tests"}
        for path in _files(package):
            found = {name.partition(".")[0] for name in _imports(path)}
            assert not found & later, path


def test_no_two_folders_import_each_other() -> None:
    """Not in a longer circle either: the folders can be sorted by their imports."""
    needs: defaultdict[str, set[str]] = defaultdict(set)
    for package in ORDER:
        for path in _files(package):
            for name in _imports(path):
                other = _file_of(name)
                if other is not None and _room(other) != _room(path):
                    needs[_room(path)].add(_room(other))
    assert list(TopologicalSorter(needs).static_order())


def test_a_folder_has_one_subject() -> None:
    for package in ORDER:
        for folder in {path.parent for path in _files(package)} - {ROOT}:
            assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder


def test_a_file_is_one_idea() -> None:
    for package in (*ORDER, "tests"):
        for path in _files(package):
            assert len(path.read_text().splitlines()) <= MOST_LINES, path
