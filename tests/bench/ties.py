"""Figures of a benchmark by whether a user's last two events have the same time.

The published sequences of Amazon 2014 have days, and put a day's events in the order of the item
ids. The next item of such a user is easier to guess, and its order says nothing of what came first.

    semid prepare amazon … --out data/beauty
    python -m tests.bench.ties benchmark/three Beauty=data/beauty
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.storage.files import written_aside
from data_prep.storage.record import file_digest, run_record
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.folder import Record, kept_records
from recsys.evaluation.full_ranking import CANDIDATES
from recsys.evaluation.metrics import means, per_user

__all__ = ["main", "tied_users"]

METRICS = ("recall@10", "ndcg@10")


def tied_users(folder: Path) -> NDArray[np.bool_]:
    """Return which users' validation and test events have the same time, (users,) bool.

    Args:
        folder: as `semid prepare amazon` wrote it; users are in the order of its sequences.
    """
    times = pl.read_parquet(folder / "interactions.parquet").select(
        "user_id", "item_id", "timestamp"
    )
    found = pl.read_parquet(folder / "sequences.parquet").select("user_id", "validation", "test")
    for part in ("validation", "test"):
        named = times.rename({"item_id": part, "timestamp": f"{part}_time"})
        found = found.join(named, on=["user_id", part], how="left", maintain_order="left")
    return (found["validation_time"] == found["test_time"]).to_numpy()


def main() -> None:
    """Print the figures of both kinds of users, and write ties.json into the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.ties",
        description="Figures of a benchmark by whether a user's last two events have one time.",
    )
    parser.add_argument("benchmark", type=Path, help="folder with records and ranks")
    parser.add_argument("prepared", nargs="+", help="CATEGORY=FOLDER of semid prepare amazon")
    given = parser.parse_args()
    begun, tied, marks = time.perf_counter(), {}, []
    for each in given.prepared:
        category, _, folder = each.partition("=")
        tied[category] = tied_users(Path(folder))
        marks.append(file_digest(Path(folder) / "sequences.parquet"))
    rows: list[dict[str, Any]] = []
    for cell in _cells(given.benchmark):
        if cell.category in tied and not cell.cold:
            rows.append(_row(given.benchmark, cell, tied[cell.category]))
            print(json.dumps(rows[-1]))
    with written_aside(given.benchmark / "ties.json") as aside:
        body = {
            "rows": rows,
            "record": run_record(None, "+".join(marks), time.perf_counter() - begun),
        }
        aside.write_text(json.dumps(body, indent=2) + "\n")


def _cells(benchmark: Path) -> list[Cell]:
    def order(record: Record) -> tuple[str, ...]:
        return tuple(str(value) for value in record["cell"].values())

    return [Cell(**record["cell"]) for record in kept_records(benchmark, order)[0]]


def _row(benchmark: Path, cell: Cell, tied: NDArray[np.bool_]) -> dict[str, Any]:
    row: dict[str, Any] = asdict(cell) | {"tied_share": round(float(tied.mean()), 4)}
    ranks = np.load(benchmark / "ranks" / f"{cell.name}.npz")
    for candidates in CANDIDATES:
        for kind, users in (("tied", tied), ("not_tied", ~tied)):
            figures = means(per_user(ranks[candidates][users]))
            row[f"{candidates}_{kind}"] = {each: round(figures[each], 4) for each in METRICS}
    return row


if __name__ == "__main__":
    main()
