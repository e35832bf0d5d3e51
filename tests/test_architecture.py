"""The house rules that a program can check."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ORDER = ("data_prep", "tokenizer", "recsys", "service")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_imports_run_only_to_the_left() -> None:
    for position, package in enumerate(ORDER):
        later = set(ORDER[position + 1 :]) | {"tests"}
        for path in (ROOT / package).rglob("*.py"):
            assert not _imports(path) & later, path


def test_a_file_is_one_idea() -> None:
    for package in (*ORDER, "tests"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path
