"""`make bench`: measure speeds on this machine, print them and write bench/results.json."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.threads import use_threads

use_threads()

import torch

from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from service.cli.terminal.console import bar, output
from tests.bench.decoding import decoding
from tests.bench.devices import devices
from tests.bench.embedding import embedding
from tests.bench.front_door import front_door
from tests.bench.generator import generator
from tests.bench.kept_memory import kept_memory
from tests.bench.ladder import ladder
from tests.bench.languages import languages
from tests.bench.machines import machines
from tests.bench.measure import best_seconds
from tests.bench.nearest_peers import nearest_peers
from tests.bench.pictures import image_steps
from tests.bench.quantizing import encoding, training_steps
from tests.bench.recommending_at_size import recommending_at_size
from tests.bench.search_at_size import esci_at_size, jdsearch_at_size, search_queries_at_size
from tests.bench.serving import http
from tests.bench.spinning import spinning
from tests.bench.static import static
from tests.bench.texts import source_of_texts
from tests.bench.tiger_training import tiger_training
from tests.bench.trie import trie

RESULTS = Path("bench/results.json")
OF_TEXTS = ("embedding", "machines", "static")  # sections on Beauty's texts, where they are at hand


def _sgemm() -> dict[str, Any]:
    """Measure a large matrix product, the upper limit of the other speeds."""
    a, b = torch.randn(2, 2048, 2048)
    a @ b
    return {"gflops": 2 * 2048**3 / best_seconds(lambda: a @ b, repeats=5) / 1e9}


LONG = ("jdsearch-at-size", "esci-at-size", "nearest-peers")  # only measured when they are named
SECTIONS: dict[str, Callable[[], Any]] = {
    "sgemm": _sgemm,
    "training": training_steps,
    "images": image_steps,
    "encoding": lambda: encoding(_sgemm()["gflops"]),
    "embedding": embedding,
    "machines": machines,
    "static": static,
    "trie": trie,
    "decoding": decoding,
    "generative": tiger_training,
    "generator": generator,
    "kept-memory": kept_memory,
    "serving": http,
    "jdsearch-at-size": jdsearch_at_size,
    "esci-at-size": esci_at_size,
    "search-queries-at-size": search_queries_at_size,
    "nearest-peers": nearest_peers,
    "recommending-at-size": recommending_at_size,
    "ladder": ladder,
    "devices": devices,
    "spinning": spinning,
    "languages": languages,
    "front-door": front_door,
}


def main() -> None:
    """Measure the named sections, or all but the longest; print them and keep their results."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=main.__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    usual = [name for name in SECTIONS if name not in LONG]
    chosen = parser.parse_args().sections or usual
    if unknown := set(chosen).difference(SECTIONS):
        parser.error(f"no section {min(unknown)!r}; there are {', '.join(SECTIONS)}")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    with bar("measuring", len(chosen)) as progress:
        for name in chosen:
            started = time.perf_counter()
            figures = SECTIONS[name]()
            data = source_of_texts() if name in OF_TEXTS else "generated"
            record = run_record(0, data, time.perf_counter() - started)
            results[name] = {"figures": figures, "record": record}
            with written_aside(RESULTS) as path:
                path.write_text(json.dumps(results, indent=2) + "\n")
            _show(name, figures)
            progress(1)
    output.print(f"kept in {RESULTS}")


def _show(name: str, figures: Any) -> None:
    rows = figures if isinstance(figures, list) else [figures]
    for row in rows:
        for figure, value in row.items():
            shown = value if isinstance(value, str) else f"{value:12,.4g}"
            output.print(f"{name:10} {figure:48} {shown}")


if __name__ == "__main__":  # spawned processes import this
    main()
