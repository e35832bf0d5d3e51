"""The rows of a benchmark's tables: figures of each model, tokenizer and share held out."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from recsys.benchmarks.published import COMPARABLE, PUBLISHED
from recsys.evaluation.full_ranking import CANDIDATES, Candidates

__all__ = ["by_validation", "rows_of"]

MONITORED = "ndcg@10"  # on validation items; orders rows
Row = tuple[str, str, float]  # model, tokenizer, share held out


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each model, tokenizer and share of items held out.

    `figures` has, by category, the mean and standard deviation over seeds of every metric under
    each candidate set: of all users (`metrics`), of the users whose test item has no event in
    training (`unseen`), and on validation items (`validation`). `validation` of the row is, by
    candidate set, NDCG@10 on validation items divided by the highest of all rows with the same
    share held out, averaged over categories; baselines have none.
    `published` is the published row of the same method, or None.
    """
    grouped: dict[Row, list[Mapping[str, Any]]] = {}
    for record in records:
        cell = record["cell"]
        grouped.setdefault((cell["model"], cell["tokenizer"], cell["cold"]), []).append(record)
    rows = []
    for (model, tokenizer, cold), group in grouped.items():
        by_category: dict[str, list[Mapping[str, Any]]] = {}
        for record in group:
            by_category.setdefault(record["cell"]["category"], []).append(record)
        rows.append(
            {
                "model": model,
                "tokenizer": tokenizer,
                "cold": cold,
                "figures": {name: _figures(records) for name, records in by_category.items()},
                "published": None if cold else _comparable(model, tokenizer),
            }
        )
    for row in rows:
        peers = [each for each in rows if each["cold"] == row["cold"]]
        row["validation"] = {
            name: share for name in CANDIDATES if (share := _share(row, peers, name)) is not None
        }
    return rows


def by_validation(
    rows: Sequence[Mapping[str, Any]], candidates: Candidates
) -> list[Mapping[str, Any]]:
    """Return the rows that have no validation figures, in their order, and the others, best first.

    Args:
        rows: from `rows_of`.
    """
    return sorted(rows, key=lambda row: -row["validation"].get(candidates, math.inf))


def _share(
    row: Mapping[str, Any], peers: Sequence[Mapping[str, Any]], candidates: Candidates
) -> float | None:
    """Return a row's validation figure as a share of the best of its peers, None without one."""
    shares = [
        found / max(each for peer in peers if (each := _validation(peer, category, candidates)))
        for category in row["figures"]
        if (found := _validation(row, category, candidates))
    ]
    return statistics.fmean(shares) if shares else None


def _validation(row: Mapping[str, Any], category: str, candidates: Candidates) -> float | None:
    figures = row["figures"].get(category, {}).get("validation", {})
    return figures[candidates][MONITORED]["mean"] if candidates in figures else None


def _figures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row's figures of one category, from its records of all seeds."""
    first = records[0]
    figures: dict[str, Any] = {"seeds": len(records), "unseen_users": first["unseen_users"]}
    for part in ("metrics", "unseen", "validation"):
        figures[part] = {
            name: _spread([record[part][name] for record in records])
            for name in CANDIDATES
            if name in first.get(part, {})
        }
    return figures


def _comparable(model: str, tokenizer: str) -> dict[str, Any] | None:
    """Return the published row of the same model, or of the same quantizer under a generator."""
    name = COMPARABLE.get(model)
    if name is None and model in {"generator", "tiger"}:
        name = COMPARABLE.get(tokenizer.partition("-")[0])
    return None if name is None else {"name": name, **asdict(PUBLISHED[name])}


def _spread(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    shared = [name for name in metrics[0] if all(name in each for each in metrics)]
    return {
        name: {
            "mean": statistics.fmean(each[name] for each in metrics),
            "std": statistics.stdev(each[name] for each in metrics) if len(metrics) > 1 else None,
        }
        for name in shared
    }
