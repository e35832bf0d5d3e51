"""A process that sees whether vectors and codes depend on company, order, threads, or on HTTP.

`python -m tests.e2e.company TOKENIZER FOLDER` prints what it computed, or ends with what differs.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from data_prep.demo import demo_items
from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import Encoder, load_encoder
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tokenizer.pipeline import Pipeline

ITEMS = 16
Vectors = NDArray[np.float32]


def main() -> None:
    """Print the vectors' digest, the codes, and what torch computes with."""
    tokenizer, folder = Path(sys.argv[1]), Path(sys.argv[2])
    pipeline = Pipeline.load(tokenizer)
    items = demo_items(ITEMS).to_dicts()
    texts = pipeline.texts(items)
    # Around each multiple of the padding, and up to the model's 256 tokens and beyond.
    texts += [" ".join(["soap"] * tokens) for tokens in (1, 2, 6, 7, 13, 14, 254, 300)]
    encoder = load_encoder()
    vectors = embed(texts, encoder)
    _vectors(texts, encoder, vectors)
    codes = pipeline.tokenize(vectors).codes
    _codes(pipeline, vectors, codes)
    _http(pipeline, items, codes, folder)
    print(
        json.dumps(
            {
                "capability": torch.backends.cpu.get_cpu_capability(),
                "threads": torch.get_num_threads(),
                "vectors": hashlib.sha256(vectors.tobytes()).hexdigest(),
                "codes": codes.tolist(),
            }
        )
    )


def _vectors(texts: list[str], encoder: Encoder, expected: Vectors) -> None:
    _same("alone", np.concatenate([embed([text], encoder) for text in texts]), expected)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = embed([texts[row] for row in order], encoder, threads=1)
    _same("another order, one thread", shuffled, expected[order])
    for some in np.array_split(order, 5):
        few = embed([texts[row] for row in some], encoder, threads=5)
        _same("few at a time, more threads than cores", few, expected[some])


def _codes(pipeline: Pipeline, vectors: Vectors, expected: NDArray[np.uint16]) -> None:
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        _same("threads", pipeline.tokenize(vectors).codes, expected)
        alone = [pipeline.tokenize(vector[None, :]).codes for vector in vectors]
        _same("alone", np.concatenate(alone), expected)
        _same("another order", pipeline.tokenize(vectors[::-1]).codes, expected[::-1])
    torch.set_num_threads(before)


def _http(
    pipeline: Pipeline, items: list[dict[str, object]], codes: NDArray[np.uint16], folder: Path
) -> None:
    database = open_database(sqlite_url(folder))
    catalogue = Catalogue(pipeline, Registry(database, pipeline.fingerprint, pipeline.levels))
    found = []
    with TestClient(create_app(catalogue)) as client:
        sizes = [1, 2, 3, len(items) - 6]
        for first, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
            body = {"items": items[first : first + size]}
            answer = client.post("/v1/tokenize", json=body)
            assert answer.status_code == 200, answer.text
            found += [item["codes"] for item in answer.json()["items"]]
    database.close()
    _same("HTTP", np.asarray(found), codes[: len(items)])


def _same(how: str, found: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    rows = np.flatnonzero((found != expected).any(axis=1))
    if rows.size:
        sys.exit(f"{how}: {rows.size} of {len(expected)} rows differ, {rows[:9].tolist()}")


if __name__ == "__main__":
    main()
