"""The vectors of registered items, kept in the transaction that gives an item its ID.

A vector is kept as its direction in float16 and its length: cosines need the direction alone, and
both together give the vector back, to about three digits.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from data_prep.progress import Progress
from service.registry.changes import Change, change_items, forget_vectors, newest_change
from service.registry.entries import KeptVector
from service.registry.migrations.schema import ids, owned_by, vectors
from service.registry.reader import CHUNK, RegistryReader

__all__ = ["VectorStore", "insert_vectors", "packed", "unpacked"]

Vectors = NDArray[np.float32]
_kept = sql.select(vectors).where(vectors.c.number.in_(sql.bindparam("numbers", expanding=True)))


def packed(given: Vectors) -> list[KeptVector]:
    """Return vectors (n, D), none of them zero, in the form that is kept."""
    wide = given.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    directions = (wide / lengths[:, None]).astype("<f2")
    return [
        KeptVector(direction.tobytes(), length)
        for direction, length in zip(directions, lengths.tolist(), strict=True)
    ]


def unpacked(directions: Sequence[bytes]) -> Vectors:
    """Return kept directions, at least one, as (n, D) float32, each of length 1."""
    found = np.frombuffer(b"".join(directions), "<f2").reshape(len(directions), -1)
    wide = found.astype(np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def insert_vectors(connection: Connection, given: dict[int, KeptVector]) -> None:
    """Keep vectors by item number; `connection` must be in a write transaction."""
    if given:
        forget_vectors(connection, list(given))  # an item that comes back may have an old one
        rows = [{"number": number, **kept._asdict()} for number, kept in given.items()]
        connection.execute(vectors.insert(), rows)


class VectorStore:
    """Reads the kept vectors of one tokenizer's items, and adds those that are lacking.

    Every method raises `sqlalchemy.exc.SQLAlchemyError` if the database does not answer.
    """

    def __init__(self, registry: RegistryReader) -> None:
        self._database = registry.database
        self._tokenizer = registry.tokenizer.number

    def count(self) -> int:
        """Return the number of items that have a vector."""
        query = sql.select(sql.func.count()).select_from(self._joined())
        with self._database.reading() as connection:
            return connection.scalar(query.where(owned_by(self._tokenizer))) or 0

    def newest_change(self) -> int:
        """Return the number of the last change of one of the items; 0 if there is none."""
        with self._database.reading() as connection:
            return newest_change(connection, self._tokenizer)

    def directions(self, numbers: Sequence[int]) -> tuple[NDArray[np.int64], Vectors]:
        """Return those of the items that have a vector: numbers (n,), directions (n, D)."""
        found: list[tuple[int, bytes]] = []
        with self._database.reading() as connection:
            for start in range(0, len(numbers), CHUNK):
                asked = {"numbers": list(numbers[start : start + CHUNK])}
                found += [(row.number, row.direction) for row in connection.execute(_kept, asked)]
        return _arrays(found)

    def vectors(self, numbers: Sequence[int]) -> dict[int, Vectors]:
        """Return the vectors (D,) of those of the items that have one, by number."""
        kept: dict[int, Vectors] = {}
        with self._database.reading() as connection:
            for start in range(0, len(numbers), CHUNK):
                asked = {"numbers": list(numbers[start : start + CHUNK])}
                if rows := connection.execute(_kept, asked).all():
                    wide = unpacked([row.direction for row in rows])
                    kept |= {
                        row.number: own * np.float32(row.length)
                        for row, own in zip(rows, wide, strict=True)
                    }
        return kept

    def sample(self, size: int) -> dict[int, Vectors]:
        """Return the vectors (D,) of up to `size` items, by number, spread over all numbers."""
        of_ours = owned_by(self._tokenizer)
        ends = sql.select(sql.func.min(vectors.c.number), sql.func.max(vectors.c.number))
        following = (
            sql.select(vectors.c.number)
            .select_from(self._joined())
            .where(of_ours, vectors.c.number >= sql.bindparam("least"))
            .order_by(vectors.c.number)
            .limit(1)
        )
        with self._database.reading() as connection:
            first, last = connection.execute(ends.select_from(self._joined()).where(of_ours)).one()
            if first is None:
                return {}
            places = {round(place) for place in np.linspace(first, last, size).tolist()}
            found = {connection.scalar(following, {"least": place}) for place in places}
        return self.vectors(sorted(number for number in found if number is not None))

    def scan(self, size: int = 4096) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Yield all items that have a vector, in parts: numbers (n,), directions (n, D)."""
        query = (
            sql.select(vectors.c.number, vectors.c.direction)
            .select_from(self._joined())
            .where(owned_by(self._tokenizer), vectors.c.number > sql.bindparam("after"))
            .order_by(vectors.c.number)
            .limit(size)
        )
        after = -1
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query, {"after": after}).all()
            if not rows:
                return
            after = rows[-1].number
            yield _arrays([(row.number, row.direction) for row in rows])

    def keep(self, chunks: Iterable[tuple[Sequence[str], Vectors]], progress: Progress) -> int:
        """Keep vectors of registered items that have none; return how many were lacking.

        Args:
            chunks: item_ids, each once, with their vectors (n, D); unknown items are ignored.
            progress: called with the number of items that were looked at.
        """
        added = 0
        for item_ids, given in chunks:
            with self._database.writing() as connection:
                lacking = self._lacking(connection, item_ids)
                rows = [row for row, name in enumerate(item_ids) if name in lacking]
                kept = packed(given[rows])
                there = [lacking[item_ids[row]] for row in rows]
                numbers = [change.number for change in there]
                insert_vectors(connection, dict(zip(numbers, kept, strict=True)))
                change_items(connection, self._tokenizer, there)  # so that others follow
            added += len(rows)
            progress(len(item_ids))
        return added

    def lacking(self, item_ids: Sequence[str]) -> set[str]:
        """Return those of the items that are registered and have no vector."""
        with self._database.reading() as connection:
            return set(self._lacking(connection, item_ids))

    def _lacking(self, connection: Connection, item_ids: Sequence[str]) -> dict[str, Change]:
        joined = ids.outerjoin(vectors, vectors.c.number == ids.c.number)
        found: dict[str, Change] = {}
        for start in range(0, len(item_ids), CHUNK):
            query = (
                sql.select(ids.c.item_id, ids.c.number, ids.c.title)
                .select_from(joined)
                .where(
                    ids.c.tokenizer == self._tokenizer,
                    ids.c.item_id.in_(item_ids[start : start + CHUNK]),
                    sql.not_(ids.c.removed),
                    vectors.c.number.is_(None),
                )
            )
            found |= {
                row.item_id: Change(row.number, row.title, removed=False)
                for row in connection.execute(query)
            }
        return found

    @staticmethod
    def _joined() -> sql.Join:
        return vectors.join(ids, ids.c.number == vectors.c.number)


def _arrays(rows: Sequence[tuple[int, bytes]]) -> tuple[NDArray[np.int64], Vectors]:
    if not rows:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    return np.asarray([number for number, _ in rows], np.int64), unpacked([d for _, d in rows])
