"""The study of levels × codewords, networks, beams and policies on real catalogues.

    SEMID_DATA=data python -m tests.bench.shapes

fits every choice to every catalogue and keeps each fit in bench/shapes.json at once; one that is
there is not made again (--anew does). Then it writes the tables of bench/shapes.md. `--only` names
catalogues; `--tables` only writes the tables.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

import torch

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from service.cli.terminal.console import bar, output
from tests.bench.shapes.catalogues import CATALOGUES, vectors_of
from tests.bench.shapes.cells import fits, measured
from tests.bench.shapes.tables import tables
from tokenizer.study.records import digest_of

RESULTS, TABLES = Path("bench/shapes.json"), Path("bench/shapes.md")


def main() -> None:
    """Fit what is missing, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shapes", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CATALOGUES, default=list(CATALOGUES))
    parser.add_argument("--anew", action="store_true", help="fit again what is there")
    parser.add_argument("--tables", action="store_true", help="only write the tables")
    given = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if not given.tables:
        data = os.environ.get("SEMID_DATA")
        if data is None:
            raise InputError("SEMID_DATA names the folder of the data sets; it is not set")
        for name in given.only:
            _catalogue(name, Path(data), results, given.anew)
    TABLES.write_text(tables(results))
    output.print(f"{RESULTS} and {TABLES} are written")


def _catalogue(name: str, data: Path, results: dict[str, Any], anew: bool) -> None:
    """Fit the choices of one catalogue that have no figures yet."""
    role, read = CATALOGUES[name]
    cells: dict[str, Any] = {} if anew else results.get(name, {}).get("cells", {})
    catalogue = read(data)
    missing = [each for each in fits(len(catalogue.texts)) if str(each) not in cells]
    if not missing:
        return
    started = time.perf_counter()
    matrix = vectors_of(catalogue)
    vectors = torch.tensor(matrix)
    results[name] = {
        "role": role,
        "items": len(vectors),
        "dimension": vectors.shape[1],
        "encoder": catalogue.encoder,
        "labels": len(set(catalogue.labels) - {""}),
        "distinct": len(torch.unique(vectors, dim=0)),
        "cells": cells,
    }
    with bar(name, len(missing)) as progress:
        for fit in missing:
            cells |= _rounded(measured(vectors, catalogue.labels, fit))
            spent = time.perf_counter() - started
            results[name]["record"] = run_record(0, digest_of(matrix), spent)
            with written_aside(RESULTS) as path:
                path.write_text(json.dumps(results, indent=1) + "\n")
            progress(1)


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures with five significant digits."""
    kept: dict[str, Any] = json.loads(
        json.dumps(figures), parse_float=lambda text: float(f"{float(text):.5g}")
    )
    return kept


if __name__ == "__main__":
    main()
