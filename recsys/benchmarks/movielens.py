"""The MovieLens benchmark: next items on any release, and the ablation of GRIT-VQ's Table 12."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.errors import InputError
from data_prep.markdown import markdown_table
from data_prep.readers.movielens import movielens_files, read_movielens
from data_prep.sequences import k_core
from recsys.models.baselines import BASELINES

__all__ = ["ABLATION", "ablation_table", "read_release", "releases_in"]

LEAST = 5  # ratings of every user and movie
# GRIT-VQ (arXiv 2602.01140), Table 12: what is removed from GRIT-VQ, as tokenizer options.
ABLATION: tuple[Mapping[str, object], ...] = (
    {"quantizer": "grit"},
    {"quantizer": "grit", "transform": "none"},
    {"quantizer": "grit", "psi_max": 0.0},
    {"quantizer": "rqvae"},
)
# NDCG@10, Recall@10 and utilization on MovieLens-25M, as published; the candidates are not stated.
PUBLISHED = {
    "grit": (0.311, 0.458, 0.61),
    "grit, no transform": (0.287, 0.435, 0.43),
    "grit, no radius": (0.298, 0.441, 0.52),
    "rqvae": (0.272, 0.416, 0.38),
}


def ablation_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the records of the ablation beside the published rows, as Markdown.

    Utilization is the mean over the levels of the share of codes that an item has.
    """
    lines = []
    for record in records:
        cell, tokenizer = record["cell"], record.get("tokenizer")
        if tokenizer is None or "utilization" not in tokenizer or cell["model"] in BASELINES:
            continue
        quantizer, *_ = cell["tokenizer"].split("-")
        without = [name for name in ("radius", "transform") if f"no-{name}" in cell["tokenizer"]]
        theirs = PUBLISHED[", no ".join([quantizer, *without])]
        found = record["metrics"]["all"]
        ours = (found["ndcg@10"], found["recall@10"], tokenizer["utilization"])
        named = [cell["category"], cell["model"], cell["tokenizer"], str(cell["seed"])]
        lines.append([*named, *(f"{value:.3f}" for value in (*ours, *theirs))])
    head = ["data", "model", "tokenizer", "seed", "N@10", "R@10", "utilization"]
    head += [f"25M, published: {name}" for name in ("N@10", "R@10", "utilization")]
    return markdown_table(head, lines)


def releases_in(data: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of the releases in a folder and below it, by the names of their folders.

    Raises:
        InputError: `data` is not a folder, or has no release.
    """
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; give the folder that holds MovieLens' files")
    folders = [data, *(path for path in sorted(data.rglob("*")) if path.is_dir())]
    files = {folder.resolve().name: movielens_files(folder) for folder in folders}
    found = {name: paths for name, paths in files.items() if paths}
    if not found:
        raise InputError(
            f"{data} has no release of MovieLens: ratings and movies, as csv, dat, u.data, or inter"
        )
    return found


def read_release(*files: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the ratings of users and movies with five or more, and the movies.

    Args:
        files: of one release, as `releases_in` returns them.

    Raises:
        InputError: as `data_prep.readers.movielens.read_movielens`.
    """
    found = read_movielens(files[0].parent)
    return k_core(found.interactions, LEAST), found.items
