"""The tables of a benchmark: each row under both candidate sets, beside published figures."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from data_prep.markdown import markdown_table
from recsys.benchmarks.published import COMPARABLE, PUBLISHED, SHOWN
from recsys.evaluation.full_ranking import CANDIDATES, Candidates

__all__ = ["by_validation", "markdown", "rows_of", "significance_table"]

MONITORED = "ndcg@10"  # on validation items; orders rows
HEADS = {"category": "data", "candidates": "ranked", "baseline": "against"}  # of tests
HEADINGS: dict[Candidates | None, str] = {
    "all": "all items ranked",
    "without_history": "the user's history left out",
    None: "candidates not stated",
}
ORDER = (
    "Models stand by validation: NDCG@10 on validation items, divided by the highest of its "
    "category, averaged over the categories that the row has."
)

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


def markdown(
    rows: Sequence[Mapping[str, Any]],
    tests: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the benchmark as Markdown.

    Args:
        rows: from `rows_of`.
        tests: from `recsys.benchmarks.significance.significance_of`.
        notes: by category, those of `recsys.benchmarks.amazon.Category`.
    """
    categories = list(dict.fromkeys(c for row in rows for c in row["figures"]))
    parts = []
    if any(row["validation"] for row in rows):
        parts.append(ORDER)
    for candidates in CANDIDATES:
        parts.append(_main_table(rows, categories, candidates))
        parts.append(_published_table(categories, candidates))
    parts.append(_published_table(categories, None))
    parts.append(_unseen_table(rows, categories))
    parts.append(_tests_table(tests))
    parts.append("\n".join(_note(name, note) for name, note in notes.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


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


def _cell(figures: Mapping[str, Any] | None, part: str, candidates: str) -> list[str]:
    if figures is None or candidates not in figures[part]:
        return ["–"] * len(SHOWN)
    cells = []
    for metric in SHOWN:
        found = figures[part][candidates][metric]
        spread = "" if found["std"] is None else f" ± {found['std']:.4f}"
        cells.append(f"{found['mean']:.4f}{spread}")
    return cells


def _validation_cell(row: Mapping[str, Any], candidates: Candidates) -> str:
    share = row["validation"].get(candidates)
    return "–" if share is None else f"{share:.3f}"


def _main_table(
    rows: Sequence[Mapping[str, Any]], categories: Sequence[str], candidates: Candidates
) -> str:
    head = ["model", "tokenizer", "seeds", "validation"]
    head += [f"{category} {name}" for category in categories for name in ("R@10", "N@10")]
    lines = []
    for row in by_validation(rows, candidates):
        if row["cold"]:
            continue
        seeds = sorted({figures["seeds"] for figures in row["figures"].values()})
        line = [row["model"], row["tokenizer"] or "–", "–".join(map(str, seeds))]
        line.append(_validation_cell(row, candidates))
        for category in categories:
            line += _cell(row["figures"].get(category), "metrics", candidates)
        lines.append(line)
    return f"### Test, {HEADINGS[candidates]}\n\n{markdown_table(head, lines)}"


def _unseen_table(rows: Sequence[Mapping[str, Any]], categories: Sequence[str]) -> str:
    head = ["model", "tokenizer", "held out", "validation"]
    head += [f"{c} {name}" for c in categories for name in ("users", "R@10", "N@10")]
    lines = []
    for row in by_validation(rows, "all"):
        if not row["cold"]:
            continue
        line = [row["model"], row["tokenizer"] or "–", f"{row['cold']:.0%}"]
        line.append(_validation_cell(row, "all"))
        for category in categories:
            figures = row["figures"].get(category)
            line.append("–" if figures is None else f"{figures['unseen_users']:,}")
            line += _cell(figures, "unseen", "all")
        lines.append(line)
    if not lines:
        return ""
    return (
        "### Items held out of training altogether\n\n"
        "Users whose test item has no event in training, because it was held out or, in a few "
        "cases, never had one; all items ranked. The tokenizers were fitted to the content of "
        f"these items too.\n\n{markdown_table(head, lines)}"
    )


def _published_table(categories: Sequence[str], candidates: Candidates | None) -> str:
    head = ["published"]
    head += [f"{category} {name}" for category in categories for name in ("R@10", "N@10")]
    lines = []
    for name, row in PUBLISHED.items():
        if row.candidates != candidates or row.figures.keys().isdisjoint(categories):
            continue
        line = [name]
        for category in categories:
            shown = row.figures.get(category)
            line += ["–"] * 2 if shown is None else [f"{figure:.4f}" for figure in shown]
        lines.append(line)
    if not lines:
        return ""
    return f"### Published, {HEADINGS[candidates]}\n\n{markdown_table(head, lines)}"


def _tests_table(tests: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        test
        | {
            "category": test["category"]
            + (f", {test['cold']:.0%} held out" if test["cold"] else ""),
            "candidates": "all" if test["candidates"] == "all" else "without history",
        }
        for test in map(dict, tests)
    ]
    columns = ("category", "candidates", "metric", "system", "baseline")
    return significance_table(shown, "user", columns)


def significance_table(
    tests: Sequence[Mapping[str, Any]], unit: str, columns: Sequence[str]
) -> str:
    """Return the Markdown of paired tests; empty without tests.

    Args:
        unit: what the tests pair, such as user.
        columns: the entries of a test that come before its difference.
    """
    if not tests:
        return ""
    lines = [
        [
            *(test[name] for name in columns),
            f"{test['difference']:+.4f}",
            f"{test['low']:+.4f} … {test['high']:+.4f}",
            f"{test['p_t']:.2g}",
            f"{test['p_holm']:.2g}",
        ]
        for test in tests
    ]
    head = [HEADS.get(name, name) for name in columns]
    return (
        f"### Significance\n\nPaired over {unit}s; a {unit}'s value is the mean over the seeds. "
        "Student's t, 95 % bootstrap interval, Holm's correction over this table.\n\n"
        + markdown_table([*head, "difference", "95 %", "p t", "p Holm"], lines)
    )


def _note(name: str, note: Mapping[str, Any]) -> str:
    having = ", ".join(f"{field} {count:,}" for field, count in note["items_with"].items())
    return (
        f"{name}: {note['users']:,} users, {note['items']:,} items, {note['events']:,} events. "
        f"Items with {having}; {note['items_without_text']:,} without any text."
    )
