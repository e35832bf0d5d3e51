"""What `import semid` and the client load, and what is said where only the client is installed."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def _distributions(requirements: list[str]) -> set[str]:
    return {Requirement(each).name.lower() for each in requirements}


def _only_in_extras() -> set[str]:
    """Return the modules of what the base installation does not have."""
    named = _distributions(EXTRAS["without-faiss"] + EXTRAS["cpu"] + EXTRAS["gpu"]) - {"semid"}
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if named.intersection(name.lower() for name in distributions)
    }
    assert {"torch", "faiss", "polars", "sqlalchemy", "typer", "fastapi"} <= modules
    return modules


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def _loaded_by(statement: str) -> set[str]:
    done = _python(f"import sys\n{statement}\nprint(*{{m.partition('.')[0] for m in sys.modules}})")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _in_base(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code where the extras' modules cannot be imported."""
    absent = dict.fromkeys(sorted(_only_in_extras()))
    return _python(f"import sys\nsys.modules.update({absent!r})\n{code}", *arguments)


def test_importing_is_quick() -> None:
    loaded = _loaded_by("import semid")
    assert not loaded & (_only_in_extras() | {"pydantic", "httpx"})


@pytest.mark.parametrize(("own", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_importing_bounds_how_long_idle_threads_spin(own: dict[str, str], spins: str) -> None:
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    setting = "".join(f"os.environ.pop({name!r}, None)\n" for name in names)
    setting += f"os.environ.update({own!r})\n"
    done = _python(f"import os\n{setting}import semid\nprint(os.environ['GOMP_SPINCOUNT'])")
    assert done.stdout.split() == [spins], done.stderr


def test_the_client_loads_nothing_heavy() -> None:
    loaded = _loaded_by("import semid\nwith semid.Client(): semid.AsyncClient()")
    assert "httpx" in loaded
    assert not loaded & (_only_in_extras() - {"rich"})  # HTTPX loads it where it is


def test_the_client_runs_without_the_extras() -> None:
    done = _in_base("import semid\nwith semid.Client(): print(semid.AsyncClient.__name__)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "AsyncSemid\n", "")
    assert _distributions(PROJECT["dependencies"]) >= {"httpx", "httpx-retries", "pydantic"}


def test_what_needs_the_extras_names_them() -> None:
    for call in (
        "semid.read_items('x.csv')",
        "semid.Tokenizer().fit([])",
        "semid.Tokenizer.load('x')",
        "semid.Recommender().fit([])",
        "semid.Recommender.load('x')",
    ):
        done = _in_base(
            f"import semid\ntry: {call}\nexcept semid.InputError as error: print(error)"
        )
        assert "pip install 'semid[cpu]'" in done.stdout, done.stderr
        assert "semid[gpu]" in done.stdout


def test_a_command_needs_the_extras_and_names_them() -> None:
    done = _in_base("from service.cli import main; main()", "fit", "items.csv")
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("semid: ")
    assert "pip install 'semid[cpu]'" in line


def test_a_module_of_ours_that_is_missing_is_our_fault() -> None:
    done = _in_base(
        "import sys; sys.modules['tokenizer.options'] = None\n"
        "sys.modules.pop('polars')\n"
        "import semid, numpy\nsemid.Tokenizer().fit(numpy.eye(3))"
    )
    assert "ModuleNotFoundError" in done.stderr
    assert "tokenizer.options" in done.stderr


def test_python_runs_the_module_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "semid", "nothing"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "semid: no such command 'nothing'; see semid --help\n"
