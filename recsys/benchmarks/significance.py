"""Which of a benchmark's systems are tested against which, and the tests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.significance import holm, paired_tests
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.published import SHOWN
from recsys.evaluation.full_ranking import CANDIDATES, Candidates
from recsys.evaluation.metrics import per_user
from recsys.models.baselines import BASELINES

__all__ = ["significance_of"]

TOKENIZED, REPEATS = " · ", "-repeats"
# Ends of a model's name; each adds something to a model.
ENDS = (REPEATS, "-cold", "-new", "-transitions", "-nearness")
RESAMPLES = 2000


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
