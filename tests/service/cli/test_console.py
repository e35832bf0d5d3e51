"""Progress in a log, tables in a file, and silence."""

import json

import pytest

from service.cli.terminal import console
from service.cli.terminal.console import bar, be_quiet, print_table
from tests.service.cli.command import Command


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("service.cli.terminal.console.time.monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_every_so_often(
    clock: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with bar("training", 1000) as progress:
        for _ in range(1000):
            clock[0] += 0.125
            progress(1)
        progress.note("held-out error 0.5")
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "training: 40/1,000, 8.0/s, 2:00 left"
    assert 10 < len(lines) < 22
    assert lines[-1] == "training: 1,000/1,000 in 2:05, held-out error 0.5"


def test_a_task_of_few_long_steps_tells_what_it_does(
    clock: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with bar("benchmark", 4) as progress:
        for second in range(20):
            clock[0] += 1
            progress.note(f"tiger, step {second}")
        progress(1)
        clock[0] += 5
        progress.note("sasrec")
    assert capfd.readouterr().err.splitlines() == [
        *(f"benchmark: 0/4, tiger, step {second}" for second in (4, 9, 14, 19)),
        "benchmark: 1/4, 25.0 s each, 1:15 left, sasrec",
        "benchmark: 1/4 in 0:25, sasrec",
    ]


def test_what_was_kept_does_not_count_for_the_time_left(
    clock: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with bar("comparing", 100) as progress:
        progress(60)  # of an earlier run
        for _ in range(2):
            clock[0] += 10
            progress(1)
    assert capfd.readouterr().err.splitlines() == [
        "comparing: 61/100, 6.1/s, 0:06 left",
        "comparing: 62/100, 10.0 s each, 6:20 left",
        "comparing: 62/100 in 0:20",
    ]


def test_an_unknown_total_is_not_shown(
    clock: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with bar("taking vectors over", 0) as progress:
        clock[0] += 10
        progress(20)
    assert capfd.readouterr().err.splitlines() == [
        "taking vectors over: 20, 2.0/s", "taking vectors over: 20 in 0:10"
    ]  # fmt: skip


def test_lines_grow_rarer(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with bar("training", 0) as progress:
        for second in range(36_000):
            clock[0] += 1
            progress.goes_to(second, 36_000)
    lines = capfd.readouterr().err.splitlines()
    assert 200 < len(lines) < 400
    assert lines[-1].endswith("in 10:00:00")


def test_quiet_commands_print_neither_progress_nor_results(
    capfd: pytest.CaptureFixture[str],
) -> None:
    be_quiet()
    with bar("training", 2) as progress:
        progress(2)
    print_table(["a"], [[1]])
    console.output.print("done")
    console.errors.print("warning")
    assert capfd.readouterr() == ("", "warning\n")
    be_quiet(quiet=False)
    print_table(["a"], [[1]])
    assert "1" in capfd.readouterr().out


def test_rows_stay_whole_in_a_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_table(["name", "value"], [["long " * 20, 1.5], ["b", 22.25]])
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(" 1.5000")
    assert lines[2].endswith("22.2500")


def test_quiet_is_of_one_command(semid: Command) -> None:
    assert semid("prepare", "catalogue", "no.csv", "--out", "o", "--quiet").code == 2
    assert json.loads(semid("models", "--json").output)
    assert semid("models").output
