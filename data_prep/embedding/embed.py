"""Content texts → vectors; each text is encoded once and kept in a cache on disk."""

import hashlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.errors import InputError
from data_prep.progress import Progress

__all__ = ["EmbeddingCache", "default_cache_folder", "embed"]

BATCH = 32
WRITE_EVERY = 1.0  # seconds between two writes to the cache
MAX_THREADS = 1024


def embed(
    texts: Sequence[str],
    encoder: Encoder,
    cache: "EmbeddingCache | None" = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Encode texts in float32; each text's vector is independent of the other texts.

    Repeated texts are encoded once, and texts in the cache are not encoded. New vectors enter the
    cache as they are made, so that a stopped run can continue.

    Args:
        threads: how many batches are encoded in parallel; None for the number of usable cores.

    Returns:
        (len(texts), encoder.dimension) float32.

    Raises:
        InputError: `threads` is not from 1 to 1,024.
    """
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise InputError(f"{threads} threads cannot encode; give 1 to {MAX_THREADS:,}")
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        rows.setdefault(text, []).append(row)
    missing = list(rows)
    if cache is not None:
        known = cache.get(encoder, missing)
        for text, vector in known.items():
            vectors[rows[text]] = vector
        missing = [text for text in missing if text not in known]
    if progress is not None:
        progress(len(texts) - sum(len(rows[text]) for text in missing))
    with _kept_in(cache, encoder) as keep:
        for batch, encoded in _encoded(missing, encoder, threads):
            for text, vector in zip(batch, encoded, strict=True):
                vectors[rows[text]] = vector
            keep(batch, encoded)
            if progress is not None:
                progress(sum(len(rows[text]) for text in batch))
    return vectors


@contextmanager
def _kept_in(
    cache: "EmbeddingCache | None", encoder: Encoder
) -> Iterator[Callable[[list[str], NDArray[np.float32]], None]]:
    """Give a function that keeps new vectors in a cache, if there is one.

    They are written at most once a second and at the end, also of a run that is stopped: a fast
    encoder makes hundreds of batches a second, and a transaction for each takes longer.
    """
    texts: list[str] = []
    parts: list[NDArray[np.float32]] = []
    written = time.monotonic()

    def write() -> None:
        if cache is not None and texts:
            cache.put(encoder, texts, np.concatenate(parts))
            texts.clear()
            parts.clear()

    def keep(batch: list[str], encoded: NDArray[np.float32]) -> None:
        nonlocal written
        if cache is not None:
            texts.extend(batch)
            parts.append(encoded)
            if time.monotonic() - written >= WRITE_EVERY:
                write()
                written = time.monotonic()

    try:
        yield keep
    finally:
        write()


def _encoded(
    texts: Sequence[str], encoder: Encoder, threads: int | None
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield batches with their vectors, in the order of `_batches`."""
    import torch

    from data_prep.embedding.batch_invariance import computing_threads, usable_threads

    batches = list(_batches(texts, encoder))
    workers = min(threads or usable_threads(), len(batches))
    if workers < 2:
        yield from ((batch, encoder.encode(batch, length)) for length, batch in batches)
        return
    running: deque[tuple[list[str], Future[NDArray[np.float32]]]] = deque()
    with computing_threads(workers, "semid-encode") as pool:
        torch.set_num_threads(torch.get_num_threads())  # resets the number for threads made later
        try:
            for length, batch in batches:
                running.append((batch, pool.submit(encoder.encode, batch, length)))
                if len(running) > 2 * workers:
                    batch_done, done = running.popleft()
                    yield batch_done, done.result()
            while running:
                batch_done, done = running.popleft()
                yield batch_done, done.result()
        finally:
            for _, waiting in running:
                waiting.cancel()


def _batches(texts: Sequence[str], encoder: Encoder) -> Iterator[tuple[int, list[str]]]:
    """Cut texts into batches of equal lengths, longest first."""
    if not texts:
        return
    groups: dict[int, list[str]] = {}
    for text, length in zip(texts, encoder.lengths(texts), strict=True):
        groups.setdefault(length, []).append(text)
    for length in sorted(groups, reverse=True):
        group = groups[length]
        for start in range(0, len(group), BATCH):
            yield length, group[start : start + BATCH]


def default_cache_folder() -> Path:
    """Return `$SEMID_CACHE`, else the user's cache folder for semid."""
    if own := os.environ.get("SEMID_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semid"


class EmbeddingCache:
    """Vectors by SHA-256 of encoder name, revision, arithmetic and text, in one SQLite file.

    Several processes may share the file, since the key determines the vector.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create `folder`/embeddings.sqlite.

        Raises:
            InputError: the folder cannot be written, or the file is not a cache; other methods
                raise it too.
        """
        self.path = folder / "embeddings.sqlite"
        with self._used():
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS vectors "
                "(key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
            )

    @staticmethod
    def is_there(folder: Path) -> bool:
        """Return whether a folder has a cache."""
        return (folder / "embeddings.sqlite").exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, encoder: Encoder, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the cached vectors, by text."""
        found: dict[str, NDArray[np.float32]] = {}
        query = "SELECT vector FROM vectors WHERE key = ?"
        with self._used():
            for text in texts:
                row = self._db.execute(query, (_key(encoder, text),)).fetchone()
                if row is not None:
                    found[text] = np.frombuffer(row[0], dtype="<f4")
        return found

    def put(self, encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store one vector for each text."""
        rows = [
            (_key(encoder, text), vector.astype("<f4").tobytes())
            for text, vector in zip(texts, vectors, strict=True)
        ]
        with self._used(), self._db:
            self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _used(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"the embedding cache {self.path} cannot be used: {error}; "
                f"set SEMID_CACHE or --cache to another folder"
            ) from error


def _key(encoder: Encoder, text: str) -> bytes:
    """Return a digest of all that determines a vector's bits, since machines may share a cache."""
    parts = (encoder.name, encoder.revision, encoder.arithmetic, text)
    return hashlib.sha256("\0".join(parts).encode()).digest()
