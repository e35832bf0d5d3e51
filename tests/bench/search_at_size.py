"""Search at the size of the public data sets, on generated files of their formats.

JDsearch with a million products and 100,000 users is prepared; ESCI's US locale with 1.2 million
products is prepared, tokenized, trained on a little, and evaluated on all products.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.generated.esci import write_esci
from tests.generated.jdsearch import write_jdsearch

__all__ = ["search_at_size"]

ITEMS, USERS = 1_000_000, 100_000
PRODUCTS, QUERIES = 1_215_851, 97_346
# A little training: the figure is the time and the recall of a pipeline that works, not its best.
LITTLE = ("--preset", "quick", "--models", "bm25,content,dual-encoder")


def search_at_size(scale: float = 1.0) -> dict[str, Any]:
    """Return minutes and peak memory of each step, and the recall that was reached.

    Args:
        scale: share of the products, users and queries, for a trial.
    """
    figures: dict[str, Any] = {"scale": scale}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        behaviour, products = write_jdsearch(
            place / "jd", int(ITEMS * scale), int(USERS * scale), events=24
        )
        figures |= _run(
            "jdsearch prepare",
            "prepare", "jdsearch", "--behaviour", behaviour, "--products", products,
            "--out", place / "jd-tables",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        examples, products = write_esci(place / "esci", int(PRODUCTS * scale), int(QUERIES * scale))
        figures |= _run(
            "esci prepare",
            "prepare", "esci", "--examples", examples, "--products", products,
            "--out", place / "tables",
        )  # fmt: skip
        out = place / "out"
        figures |= _run(
            "esci benchmark",
            "benchmark", "esci", place / "tables", *LITTLE, "--encoder", "hashing",
            "--cache", place / "cache", "--set", "steps=500", "--training", "steps=300",
            "--out", out,
        )  # fmt: skip
        for path in sorted((out / "records").glob("*.json")):
            record = json.loads(path.read_text())
            name = record["cell"]["model"]
            figures[f"esci {name} recall@50"] = record["metrics"]["all"]["recall@50"]
            if "latency" in record:
                figures["esci query p50 ms"] = record["latency"]["p50_ms"]
                figures["esci query found"] = record["latency"]["found"]
    minutes = figures["esci prepare minutes"] + figures["esci benchmark minutes"]
    figures["esci minutes in all"] = round(minutes, 1)
    return figures


def _run(name: str, *arguments: object) -> dict[str, float]:
    """Run `semid`, and return its minutes and the most memory of any process so far, in GiB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "service.cli", *map(str, arguments), "--quiet"]
    subprocess.run(command, check=True, env=os.environ)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        f"{name} minutes": round((time.perf_counter() - started) / 60, 2),
        f"{name} peak GiB so far": round(peak, 2),
    }


if __name__ == "__main__":
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(json.dumps(search_at_size(scale), indent=2))
