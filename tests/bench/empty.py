"""A FastAPI service with semid's shapes that does nothing: the speed of the framework alone."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.http.messages.schemas import (
    Item,
    SimilarAnswer,
    SimilarItem,
    SimilarQuery,
    TokenizeAnswer,
    TokenizedItem,
    TokenizeRequest,
)

__all__ = ["empty_service"]

app = FastAPI()
ITEM: dict[str, Any] = {
    "item_id": "D00001",
    "title": "Rose Hand Cream, 75 ml",
    "semantic_id": "12-240-3-77",
    "codes": [12, 240, 3, 77],
    "suffix": 0,
    "distortion": 0.4321,
}


@app.get("/v1/items/{item_id:path}")
async def get_item(item_id: str) -> Item:  # noqa: ARG001
    return Item.model_validate(ITEM)


@app.post("/v1/tokenize")
async def tokenize(request: TokenizeRequest) -> TokenizeAnswer:
    items = [TokenizedItem(**ITEM, status="created") for _ in request.items]
    return TokenizeAnswer(items=items, tokenizer="0" * 64)


@app.post("/v1/similar")
async def similar(request: SimilarQuery) -> SimilarAnswer:
    near = SimilarItem(**ITEM, cosine=0.9321, exact=False, distance=0.1234)
    return SimilarAnswer(items=[near] * request.k)


@contextmanager
def empty_service() -> Iterator[str]:
    """Run the service in its own process, and yield its address."""
    process = Popen([sys.executable, "-m", "tests.bench.empty"], stdout=PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
