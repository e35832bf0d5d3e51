"""The tables of a search benchmark, from its records: methods, published rows, tests."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.markdown import markdown_table
from data_prep.significance import holm, paired_tests
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.folder import Record, write_tables
from recsys.benchmarks.folder import kept_records as folder_records
from recsys.benchmarks.search.methods import BASELINES, FUSIONS
from recsys.benchmarks.search.pictures import draw_codebook_sizes, draw_latency
from recsys.benchmarks.search.published import COMPARABLE, PROTOCOLS, PUBLISHED, SHOWN_PUBLISHED
from recsys.benchmarks.search.sources import PART_OF
from recsys.benchmarks.tables import significance_table
from recsys.search.presets import MODELS

__all__ = ["kept_records", "rows_of", "significance_of", "write_summary"]

SHOWN = ("recall@10", "recall@50", "recall@100", "ndcg@10", "ndcg@50")
TESTED = ("recall@50", "ndcg@10")
RESAMPLES = 2000
ORDER = (*BASELINES, *MODELS, *FUSIONS)
TOKENIZED = " · "


def kept_records(folder: Path) -> tuple[list[Record], dict[str, Any]]:
    """Return all records in a search benchmark's folder, and the notes on its data.

    Raises:
        InputError: the folder has no records.
    """
    return folder_records(folder, _order)


def write_summary(
    folder: Path, records: Sequence[Mapping[str, Any]], notes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Write summary.json, summary.md and pictures; return the Markdown.

    Raises:
        InputError: the metrics of a cell's requests are missing.
    """
    records = sorted(records, key=_order)
    rows = rows_of(records)
    tests = significance_of(folder, records)
    text = _markdown(rows, tests, notes)
    write_tables(folder, rows, tests, notes, text)
    draw_latency(rows, folder / "latency.png")
    draw_codebook_sizes(rows, folder / "codebook-size.png")
    return text


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each data set, model and tokenizer: means and deviations over seeds."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        cell = record["cell"]
        grouped.setdefault((cell["category"], cell["model"], cell["tokenizer"]), []).append(record)
    rows = []
    for (category, model, tokenizer), group in grouped.items():
        metrics = [record["metrics"]["all"] for record in group]
        rows.append(
            {
                "category": category,
                "model": model,
                "tokenizer": tokenizer,
                "seeds": len(group),
                "metrics": {name: _spread([each[name] for each in metrics]) for name in metrics[0]},
                "latency": group[0].get("latency"),
                "shown": group[0].get("shown"),
                "unique_share": group[0].get("tokenizer", {}).get("unique_share"),
            }
        )
    return rows


def significance_of(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Test each dual encoder on GRIT codes against every other method, paired over requests.

    Without GRIT the first dual encoder on codes is tested. A request's value is the mean over the
    seeds. Holm's correction is over the whole table. A data set with one request has no test.

    Raises:
        InputError: the metrics of a cell's requests are missing.
    """
    found: list[dict[str, Any]] = []
    for category in dict.fromkeys(record["cell"]["category"] for record in records):
        cells = [r["cell"] for r in records if r["cell"]["category"] == category]
        systems = _systems(folder, cells)
        coded = [name for name in systems if name.startswith(f"dual-encoder{TOKENIZED}")]
        grit = [name for name in coded if name.startswith(f"dual-encoder{TOKENIZED}grit")]
        for place, system in enumerate(grit or coded[:1]):
            for other in (name for name in systems if name not in grit[:place]):
                sizes = {len(systems[name][TESTED[0]]) for name in (system, other)}
                if other != system and len(sizes) == 1 and min(sizes) > 1:
                    pair = {name: systems[name] for name in (system, other)}
                    found += [
                        {"category": category} | asdict(test)
                        for test in paired_tests(pair, other, TESTED, RESAMPLES)
                    ]
    corrected = holm([test["p_t"] for test in found]) if found else ()
    return [test | {"p_holm": float(p)} for test, p in zip(found, corrected, strict=True)]


def _systems(
    folder: Path, cells: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, np.ndarray[Any, np.dtype[np.float64]]]]:
    seeds: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        path = folder / "requests" / f"{Cell(**cell).name}.npz"
        if not path.is_file():
            raise InputError(f"{path}, the metrics of every request, is missing; run it again")
        with np.load(path) as file:
            values = {metric: np.asarray(file[metric], dtype=np.float64) for metric in TESTED}
        seeds.setdefault(_label(cell), []).append(values)
    return {
        name: {metric: np.mean([each[metric] for each in values], axis=0) for metric in TESTED}
        for name, values in seeds.items()
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": deviation}


def _label(cell: Mapping[str, Any]) -> str:
    return TOKENIZED.join(part for part in (cell["model"], cell["tokenizer"]) if part)


def _order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    cell = record["cell"]
    model = ORDER.index(cell["model"]) if cell["model"] in ORDER else len(ORDER)
    grit = not cell["tokenizer"].startswith("grit")
    return (cell["category"], model, grit, cell["tokenizer"], cell["seed"])


def _markdown(
    rows: Sequence[Mapping[str, Any]],
    tests: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Mapping[str, Any]],
) -> str:
    parts = []
    for category in dict.fromkeys(row["category"] for row in rows):
        own = [row for row in rows if row["category"] == category]
        note = _note(category, notes.get(category, {}))
        part = note if PART_OF in note else ""
        parts += [_table(category, own), _published(category, own, part), _shown(own)]
    columns = ("category", "metric", "system", "baseline")
    parts.append(significance_table(tests, "request", columns))
    parts += [_note(name, note) for name, note in notes.items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(category: str, rows: Sequence[Mapping[str, Any]]) -> str:
    names = [name for name in SHOWN if all(name in row["metrics"] for row in rows)]
    lines = [
        [
            row["model"],
            row["tokenizer"] or "–",
            str(row["seeds"]),
            *(_figure(row["metrics"][name]) for name in names),
            "–" if row["latency"] is None else f"{row['latency']['p50_ms']:.2f}",
        ]
        for row in rows
    ]
    head = ["method", "tokenizer", "seeds", *names, "ms a query"]
    return f"### {category}: test requests, all items ranked\n\n{markdown_table(head, lines)}"


def _published(category: str, rows: Sequence[Mapping[str, Any]], part: str) -> str:
    """Return the published rows of a data set, each beside ours of the same method.

    Args:
        part: says that our files are a part of the published ones; our rows are then left out.
    """
    known = category.partition("-")[0]
    lines, protocols = [], []
    for name, by_data in PUBLISHED.items():
        if known not in by_data:
            continue
        row = by_data[known]
        ours = [each for each in rows if _comparable(each) == name]
        found = ours[0]["metrics"] if ours else {}
        protocols.append(row.protocol)
        for metric, value in row.figures.items():
            own = _figure(found[metric]) if metric in found else "–"
            ours_too = [] if part else [own]
            lines.append([name, row.protocol, metric, f"{value:.3f}", *ours_too])
    if not lines:
        return ""
    told = "\n".join(f"* {name}: {PROTOCOLS[name]}." for name in dict.fromkeys(protocols))
    head = ["published", "protocol", "metric", "theirs"]
    if part:
        table = markdown_table(head, lines)
        return f"### Published\n\nNot comparable with ours. {part}\n\n{table}\n\n{told}"
    return f"### Published beside ours\n\n{markdown_table([*head, 'ours'], lines)}\n\n{told}"


def _comparable(row: Mapping[str, Any]) -> str | None:
    if row["model"] == "bm25":
        return "BM25"
    if row["model"] == "content":
        return "MiniLM vectors, untuned"
    if row["model"] == "dual-encoder":
        return COMPARABLE.get(row["tokenizer"].partition("-")[0])
    return COMPARABLE.get(row["model"])


def _shown(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [row["model"], row["tokenizer"] or "–", *(f"{row['shown'][n]:.4f}" for n in _SHOWN_NAMES)]
        for row in rows
        if row["shown"] is not None
    ]
    if not lines:
        return ""
    lines += [
        [f"published: {name}", "–", *(f"{value:.4f}" for value in figures.values())]
        for name, figures in SHOWN_PUBLISHED.items()
    ]
    return (
        "### The shown products put in order\n\nThe data set's own task; its authors do not state "
        "the cutoffs of precision and NDCG, ours are 10.\n\n"
        + markdown_table(["method", "tokenizer", "MRR", "precision", "NDCG"], lines)
    )


_SHOWN_NAMES = ("mrr", "precision@10", "ndcg@10")


def _note(name: str, note: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {what}" for what, count in note.items())
    return f"{name}: {counts}."


def _figure(found: Mapping[str, float | None]) -> str:
    spread = "" if found["std"] is None else f" ± {found['std']:.4f}"
    return f"{found['mean']:.4f}{spread}"
