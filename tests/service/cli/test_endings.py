"""How a command ends that cannot go on: one line and an exit code, never a traceback."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.embedding.embed import default_cache_folder
from service.http.security.keys import add_key
from tests.service.cli.command import Command, refused

SEMID = [sys.executable, "-m", "service.cli"]
ROOT = Path(__file__).parents[3]


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def _one_line(errors: str, *said: str) -> None:
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("semid: ")
    for words in said:
        assert words in errors


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Return a command that prints, and needs no heavy library."""
    add_key(tmp_path / "keys.json", "nightly", ["read"])
    return [*SEMID, "keys", "list", "--file", str(tmp_path / "keys.json")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("more", [[], ["--help"]])
def test_a_full_disk_is_told(keys: list[str], more: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*keys, *more],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
            check=False,
        )
    assert done.returncode == 1
    _one_line(done.stderr, "the output cannot be written", "No space left")


@pytest.mark.parametrize("by_typer", [False, True])
def test_a_reader_that_has_gone_is_told(keys: list[str], by_typer: bool) -> None:
    """Tables are printed by rich, JSON by typer, which would end without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*SEMID, "models", "--json"] if by_typer else keys,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    _one_line(done.stderr, "nobody reads")


def test_a_terminal_without_the_characters_gets_escapes(tokenizer_folder: Path) -> None:
    done = subprocess.run(
        [*SEMID, "inspect", str(tokenizer_folder)],
        capture_output=True,
        env=_environment(PYTHONIOENCODING="ascii"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\xd7" in done.stdout  # the sign between levels and codewords
    assert b"utilization" in done.stdout


def test_a_name_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [*[part.encode() for part in SEMID], b"fit", b"caf\xe9.csv", b"--out", b"x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=_environment(),
        check=False,
    )
    assert done.returncode == 2
    _one_line(done.stderr, r"caf\xe9.csv is not UTF-8")


def test_usage_is_told_in_one_line(semid: Command) -> None:
    for wrong, said in (
        (("nope",), "no such command 'nope'"),
        (("fit", "--lvels", "3"), "--levels"),
        (("inspect", "a", "b"), "extra argument"),
        (("fit", "--levels"), "requires an argument"),
    ):
        told = semid(*wrong)
        refused(told, said)
        _one_line(told.errors)
    assert semid().code == 2
    assert "Usage" in semid().output
    assert semid().errors == ""


def test_ctrl_c_says_how_to_go_on(catalogue: Path, tmp_path: Path) -> None:
    """The runs that are kept by then are not made again."""
    command = [*SEMID, "compare", str(catalogue), "--encoder", "hashing", "--seeds", "3",
               "--codebook-size", "16", "--levels", "2", "--steps", "3", "--quantizers", "ste,ema",
               "--out", "c"]  # fmt: skip
    started = subprocess.Popen(
        [*command, "--seeds", "400"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(SEMID_CACHE=str(tmp_path / "cache")),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("c/runs/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 130, told
    assert "Traceback" not in told
    last = told.splitlines()[-1]
    assert last == "semid: stopped; the same command resumes from the runs in c/runs"


def test_an_interrupt_while_modules_are_imported_is_one_line() -> None:
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'service.cli.commands':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from service.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=_environment(),
        check=False,
    )
    assert done.returncode == 130
    _one_line(done.stderr, "stopped")


def test_an_empty_variable_of_the_cache_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMID_CACHE", raising=False)
    usual = default_cache_folder()
    assert usual != Path()
    monkeypatch.setenv("SEMID_CACHE", "")
    assert default_cache_folder() == usual
    monkeypatch.setenv("SEMID_CACHE", "here")
    assert default_cache_folder() == Path("here")


def test_version(semid: Command) -> None:
    told = semid("--version")
    assert told.code == 0
    assert re.fullmatch(r"semid [0-9.]+[^ ]*\n", told.output)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"_SEMID_COMPLETE": "source_bash"}, "complete -o default -F _semid_completion semid"),
        (
            {
                "_SEMID_COMPLETE": "complete_bash",
                "COMP_WORDS": "semid fit --lev",
                "COMP_CWORD": "2",
            },
            "--levels",
        ),
    ],
)
def test_the_shell_completes(asked: dict[str, str], said: str, semid: Command) -> None:
    done = subprocess.run(
        SEMID, capture_output=True, text=True, env=_environment(**asked), check=False
    )
    assert done.stdout.strip().splitlines()[-1] == said, done.stderr
    assert "--install-completion" in semid("--help").output
