"""The tables of a benchmark: each row under both candidate sets, beside published figures."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.markdown import markdown_table
from data_prep.significance import holm, paired_tests
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.published import COMPARABLE, PUBLISHED, SHOWN
from recsys.evaluation.full_ranking import CANDIDATES, Candidates
from recsys.evaluation.metrics import per_user
from recsys.models.baselines import BASELINES

__all__ = ["markdown", "rows_of", "significance_of", "significance_table"]

TOKENIZED, REPEATS = " · ", "-repeats"
# Ends of a model's name; each adds something to a model.
ENDS = (REPEATS, "-new", "-transitions", "-nearness")
RESAMPLES = 2000
HEADS = {"category": "data", "candidates": "ranked", "baseline": "against"}  # of tests
HEADINGS: dict[Candidates | None, str] = {
    "all": "all items ranked",
    "without_history": "the user's history left out",
    None: "candidates not stated",
}
Row = tuple[str, str, float]  # model, tokenizer, share held out


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each model, tokenizer and share of items held out.

    `figures` has, by category, the mean and standard deviation over seeds of every metric under
    each candidate set: of all users (`metrics`), and of the users whose test item has no event in
    training (`unseen`). `published` is the published row of the same method, or None.
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
    return rows


def significance_of(
    folder: Path, records: Sequence[Mapping[str, Any]], metrics: Sequence[str] = SHOWN
) -> list[dict[str, Any]]:
    """Test each model's first tokenizer against its others, and each model against baselines.

    Within a model, the first tokenizer of each shape (levels × codebook size) is tested against the
    others of that shape and against the first of each other shape. Each model is tested against
    co-occurrence, the items nearest by content, and SASRec. A model whose name ends in one of
    `ENDS` is tested against itself without that, and one that learns repeats against the SASRec
    that learns them.
    Each user's value is the mean over the seeds. Holm's correction is over the whole table.

    Args:
        folder: of the benchmark, with the ranks of every user.

    Raises:
        InputError: a cell's file of ranks is missing.
    """
    found: list[dict[str, Any]] = []
    for category, cold in dict.fromkeys(
        (record["cell"]["category"], record["cell"]["cold"]) for record in records
    ):
        cells = [
            record["cell"]
            for record in records
            if (record["cell"]["category"], record["cell"]["cold"]) == (category, cold)
        ]
        for candidates in CANDIDATES:
            systems = _systems(folder, cells, candidates, metrics)
            first: dict[tuple[str, str], str] = {}
            for cell in cells:
                if cell["tokenizer"]:
                    first.setdefault((cell["model"], _shape(cell["tokenizer"])), _label(cell))
            for system, baseline in _pairs(systems, first):
                pair = {name: systems[name] for name in (system, baseline)}
                found += [
                    {"category": category, "cold": cold, "candidates": candidates} | asdict(result)
                    for result in paired_tests(pair, baseline, metrics, RESAMPLES)
                ]
    corrected = holm([test["p_t"] for test in found]) if found else ()
    return [test | {"p_holm": float(p)} for test, p in zip(found, corrected, strict=True)]


def markdown(
    rows: Sequence[Mapping[str, Any]],
    tests: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the benchmark as Markdown.

    Args:
        rows: from `rows_of`.
        tests: from `significance_of`.
        notes: by category, those of `recsys.benchmarks.amazon.Category`.
    """
    categories = list(dict.fromkeys(c for row in rows for c in row["figures"]))
    parts = []
    for candidates in CANDIDATES:
        parts.append(_main_table(rows, categories, candidates))
        parts.append(_published_table(categories, candidates))
    parts.append(_published_table(categories, None))
    parts.append(_unseen_table(rows, categories))
    parts.append(_tests_table(tests))
    parts.append("\n".join(_note(name, note) for name, note in notes.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row's figures of one category, from its records of all seeds."""
    first = records[0]
    figures: dict[str, Any] = {"seeds": len(records), "unseen_users": first["unseen_users"]}
    for part in ("metrics", "unseen"):
        figures[part] = {
            name: _spread([record[part][name] for record in records])
            for name in CANDIDATES
            if name in first[part]
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


def _label(cell: Mapping[str, Any]) -> str:
    return TOKENIZED.join(part for part in (cell["model"], cell["tokenizer"]) if part)


def _systems(
    folder: Path, cells: Sequence[Mapping[str, Any]], candidates: Candidates, metrics: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return, by system and metric, each user's value: the mean over the seeds."""
    seeds: dict[str, list[Any]] = {}
    for cell in cells:
        path = folder / "ranks" / f"{Cell(**cell).name}.npz"
        if not path.is_file():
            raise InputError(f"{path}, the ranks of every user, is missing; run the cell again")
        with np.load(path) as file:
            values = per_user(file[candidates])
        seeds.setdefault(_label(cell), []).append(values)
    return {
        name: {metric: np.mean([each[metric] for each in values], axis=0) for metric in metrics}
        for name, values in seeds.items()
    }


def _shape(tokenizer: str) -> str:
    """Return levels and codebook size, such as `8x256`, from a tokenizer's or system's name."""
    found = re.search(r"\d+x\d+", tokenizer)
    return found[0] if found else ""


def _pairs(
    systems: Mapping[str, Any], first: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """Return which system is tested against which.

    Args:
        systems: by name.
        first: by model and tokenizer shape, the system with the first tokenizer.
    """
    pairs = [
        (reference, other)
        for (model, shape), reference in first.items()
        for other in systems
        if other.startswith(model + TOKENIZED) and _shape(other) == shape and other != reference
    ]
    pairs += [
        (later, reference)
        for ((model, _), reference), ((same, _), later) in combinations(first.items(), 2)
        if model == same
    ]
    bare = [name for name in systems if TOKENIZED not in name and name not in BASELINES]
    learnt = [*bare, *first.values()]
    for name in learnt:
        model, *tokenizer = name.split(TOKENIZED)
        dense = "sasrec" + REPEATS * model.endswith(REPEATS)
        end = next((end for end in ENDS if model.endswith(end)), "")
        plain = TOKENIZED.join([model.removesuffix(end), *tokenizer])
        others = dict.fromkeys((plain, dense, "co-occurrence", "nearest-content"))
        pairs += [(name, other) for other in others if other in systems and other != name]
    return pairs


def _cell(figures: Mapping[str, Any] | None, part: str, candidates: str) -> list[str]:
    if figures is None or candidates not in figures[part]:
        return ["–"] * len(SHOWN)
    cells = []
    for metric in SHOWN:
        found = figures[part][candidates][metric]
        spread = "" if found["std"] is None else f" ± {found['std']:.4f}"
        cells.append(f"{found['mean']:.4f}{spread}")
    return cells


def _main_table(
    rows: Sequence[Mapping[str, Any]], categories: Sequence[str], candidates: Candidates
) -> str:
    head = ["model", "tokenizer", "seeds"]
    head += [f"{category} {name}" for category in categories for name in ("R@10", "N@10")]
    lines = []
    for row in rows:
        if row["cold"]:
            continue
        seeds = sorted({figures["seeds"] for figures in row["figures"].values()})
        line = [row["model"], row["tokenizer"] or "–", "–".join(map(str, seeds))]
        for category in categories:
            line += _cell(row["figures"].get(category), "metrics", candidates)
        lines.append(line)
    return f"### Test, {HEADINGS[candidates]}\n\n{markdown_table(head, lines)}"


def _unseen_table(rows: Sequence[Mapping[str, Any]], categories: Sequence[str]) -> str:
    head = ["model", "tokenizer", "held out"]
    head += [f"{c} {name}" for c in categories for name in ("users", "R@10", "N@10")]
    lines = []
    for row in rows:
        if not row["cold"]:
            continue
        line = [row["model"], row["tokenizer"] or "–", f"{row['cold']:.0%}"]
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
