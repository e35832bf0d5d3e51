"""A plan of many comparisons, and the making of all of them with one pool of processes.

A plan is a TOML file with one table `[[comparison]]` for each comparison:

* `name`: its folder.
* `items`: a file that `semid compare --prepare-only` wrote, or a list of them, one catalogue.
* `quantizers`, `study`, `rows`: the rows. Names of quantizers; the name of one of the studies of
  `semid ablate`; or tables of options by the row's name.
* `set`: options that all rows share.
* `tune`: trials that tune each row, 1 by default. `seeds`: runs of each row, 1 by default; `best`:
  only so many rows, those with the lowest validation error, run seeds other than 0.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from data_prep.errors import InputError
from data_prep.names import check_name
from data_prep.storage.files import existing_file, written_aside
from tokenizer.config import FitConfig
from tokenizer.study.ablations import STUDIES
from tokenizer.study.cells import Mapped
from tokenizer.study.comparison import compare, summarise
from tokenizer.study.items import StudyItems
from tokenizer.study.records import shortened
from tokenizer.study.rows import configurations, markdown, quantizer_rows
from tokenizer.study.tuning import Tuned, tune

__all__ = ["PlannedComparison", "make_plan", "read_plan"]

Ended = TypeVar("Ended")
KEYS = ("name", "items", "quantizers", "study", "rows", "set", "tune", "seeds", "best")


@dataclass(frozen=True)
class PlannedComparison:
    """One comparison of a plan.

    Attributes:
        files: the catalogue's files, one after the other.
        rows: a configuration by the row's name.
        tune: trials of each row; 1 keeps its configuration.
        seeds: seeds of a row, from 0.
        best: how many rows, the best ones with seed 0, run the other seeds.
    """

    name: str
    files: tuple[Path, ...]
    rows: Mapping[str, FitConfig]
    tune: int = 1
    seeds: int = 1
    best: int = 1000


def read_plan(path: Path, items: Path | None = None) -> list[PlannedComparison]:
    """Read a plan.

    Args:
        items: the folder of the catalogues' files; None for the plan's own.

    Raises:
        InputError: the file cannot be read, a key or name is unknown, or a configuration cannot be
            built.
    """
    try:
        read = tomllib.loads(existing_file(path).read_text(encoding="utf-8"))
        tables = read["comparison"]
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} is no plan with tables [[comparison]]: {error}") from error
    planned = [_planned(table, items or path.parent) for table in tables]
    names = [each.name for each in planned]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: two comparisons have one name")
    return planned


def _planned(table: Mapping[str, Any], folder: Path) -> PlannedComparison:
    for key in table:
        check_name("key of a comparison", key, KEYS)
    for key in ("name", "items"):
        if key not in table:
            raise InputError(f"a comparison of the plan has no {key}")
    rows = dict(quantizer_rows(table.get("quantizers", ())))
    if "study" in table:
        check_name("study", table["study"], STUDIES)
        rows |= STUDIES[table["study"]]
    rows |= table.get("rows", {})
    if not rows:
        raise InputError(f"{table['name']}: no rows; give quantizers, study or rows")
    files = [table["items"]] if isinstance(table["items"], str) else table["items"]
    return PlannedComparison(
        table["name"],
        tuple(folder / name for name in files),
        configurations(rows, table.get("set", {})),
        **{key: table[key] for key in ("tune", "seeds", "best") if key in table},
    )


def make_plan(
    planned: Sequence[PlannedComparison], out: Path, mapped: Mapped, jobs: int, device: str = "cpu"
) -> dict[str, str]:
    """Make the comparisons in the plan's order, and write the results of each.

    Records are kept as by `semid compare --tune`, in `out`/NAME, so that a stopped plan goes on.
    `out`/NAME.md is the table. `out`/NAME.json has the table's figures, and every run and trial in
    short.

    Args:
        mapped: makes the cells, as `tokenizer.study.cells.side_by_side` or `in_turn` does; several
            threads use it.
        jobs: rows that are made at once; each makes its cells with `mapped`.

    Returns:
        The fault of each comparison that was not finished, by name.
    """
    for each in planned:
        StudyItems.load(*each.files)  # once, before threads ask for them
    with ThreadPoolExecutor(jobs) as rows, ThreadPoolExecutor(len(planned) or 1) as tables:
        begun = [
            (each, [rows.submit(_row, each, name, out, device, mapped) for name in each.rows])
            for each in planned
        ]
        ends = {
            each.name: tables.submit(_finish, each, made, out, device, mapped)
            for each, made in begun
        }
        found = {name: end.result() for name, end in ends.items()}
    return {name: fault for name, fault in found.items() if fault}


Row = tuple[str, Tuned, list[dict[str, Any]]]  # name, tuning, records


def _row(planned: PlannedComparison, name: str, out: Path, device: str, mapped: Mapped) -> Row:
    """Tune a row, and run it with seed 0."""
    items, folder = StudyItems.load(*planned.files), out / planned.name
    tuned = tune(
        folder, name, items, planned.rows[name], planned.tune, device=device, mapped=mapped
    )
    config = replace(tuned.config, seed=0)
    return name, tuned, compare(folder, items, [(name, config)], device=device, mapped=mapped)


def _finish(
    planned: PlannedComparison,
    begun: Iterable[Future[Row]],
    out: Path,
    device: str,
    mapped: Mapped,
) -> str:
    """Run the best rows with further seeds, write the tables, and return the first fault.

    Rows that failed are left out of the tables.
    """
    items, folder = StudyItems.load(*planned.files), out / planned.name
    made, faults = _ended(begun)
    made.sort(key=lambda row: float(row[2][0]["validation_error"]))
    more = [
        (name, replace(tuned.config, seed=seed))
        for name, tuned, _ in made[: planned.best]
        for seed in range(1, planned.seeds)
    ]
    # Not behind the rows of later comparisons.
    with ThreadPoolExecutor(len(more) or 1) as threads:
        further, later_faults = _ended(
            threads.submit(compare, folder, items, [run], None, device, mapped) for run in more
        )
    records = [record for _, _, found in made for record in found]
    records += [record for found in further for record in found]
    if records:
        table = summarise(records)
        trials = [trial for _, tuned, _ in made for trial in tuned.trials]
        for ending, text in (
            ("json", json.dumps(shortened(table, records, trials)) + "\n"),
            ("md", markdown(table) + "\n"),
        ):
            with written_aside(out / f"{planned.name}.{ending}") as aside:
                aside.write_text(text)
    return next(iter(faults + later_faults), "")


def _ended(begun: Iterable[Future[Ended]]) -> tuple[list[Ended], list[str]]:
    """Return the results of those that succeeded, and the faults of the others."""
    done = list(begun)
    wait(done)
    errors = [future.exception() for future in done]
    return (
        [future.result() for future, error in zip(done, errors, strict=True) if error is None],
        [f"{type(error).__name__}: {error}" for error in errors if error is not None],
    )
