"""What a record says of the command that made it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[3])
COMMAND = """from data_prep.storage.record import run_record

def command():
    return run_record(None, "", 0.0)["command"]
"""
IN_A_WORKER_TOO = """from multiprocessing import get_context
from shop.asked import command

if __name__ == "__main__":
    print(command())
    with get_context("spawn").Pool(1) as workers:
        print(workers.apply(command))
"""


def _printed(folder: Path, *called: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *called, "--out", "x"],
        cwd=folder, env={"PYTHONPATH": ROOT}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("file", "module"), [("study/__main__.py", "shop.study"), ("study/part.py", "shop.study.part")]
)
def test_a_module_s_command_can_be_typed(file: str, module: str, tmp_path: Path) -> None:
    """In worker processes too, which do not know by which name their program was called."""
    path = tmp_path / "shop" / file
    path.parent.mkdir(parents=True)
    for folder in (path.parent, path.parent.parent):
        (folder / "__init__.py").touch()
    (tmp_path / "shop" / "asked.py").write_text(COMMAND)
    path.write_text(IN_A_WORKER_TOO)
    assert _printed(tmp_path, "-m", module) == [f"python -m {module} --out x"] * 2


def test_a_script_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(f"{COMMAND}\nprint(command())\n")
    assert _printed(tmp_path, "alone.py") == ["alone.py --out x"]
