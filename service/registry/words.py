"""Search of titles by words, with SQLite's FTS5 and PostgreSQL's own text search.

Both get words that are split and folded here (`data_prep.values.words`), so that a search finds the
same items on either.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from data_prep.values.words import query_terms, title_words
from service.registry.migrations.schema import ids, owned_by

__all__ = ["MOST_COUNTED", "add_words", "change_words", "matching"]

MOST_COUNTED = 1000  # hits of a search that are counted
MOST_POSITION = 16_383  # of a word in PostgreSQL's texts
_sqlite = sql.table("semid_words", sql.column("rowid"))
_postgres = sql.table("semid_words", sql.column("number"))
Titled = tuple[int, str | None]


def add_words(connection: Connection, items: Iterable[Titled]) -> None:
    """Make titles of new items (number, title) findable; in a write transaction."""
    found = ((number, title_words(title)) for number, title in items)
    rows = [(number, words) for number, words in found if words]
    if not rows:
        return
    if _is_sqlite(connection):
        insert = sql.text("INSERT INTO semid_words(rowid, words) VALUES (:number, :words)")
        given = [{"number": number, "words": " ".join(words)} for number, words in rows]
    else:
        insert = sql.text(
            "INSERT INTO semid_words(number, words) VALUES (:number, CAST(:words AS tsvector))"
        )
        given = [{"number": number, "words": _vector(words)} for number, words in rows]
    connection.execute(insert, given)


def change_words(connection: Connection, before: Sequence[Titled], after: Sequence[Titled]) -> None:
    """Replace titles: items with their old and their new title; in a write transaction."""
    old = [(number, words) for number, title in before if (words := title_words(title))]
    if old and _is_sqlite(connection):  # the index keeps no titles, and is told what goes
        delete = sql.text(
            "INSERT INTO semid_words(semid_words, rowid, words) VALUES ('delete', :number, :words)"
        )
        connection.execute(delete, [{"number": n, "words": " ".join(words)} for n, words in old])
    elif old:
        delete = sql.text("DELETE FROM semid_words WHERE number = :number")
        connection.execute(delete, [{"number": number} for number, _ in old])
    add_words(connection, after)


def matching(
    connection: Connection, text: str, tokenizer: int
) -> sql.Select[tuple[object, ...]] | None:
    """Return the query of a tokenizer's items whose titles have every word of a text.

    A word of the text may also be the beginning of a title's word.

    Returns:
        A select of the table `ids`, in the order of arrival; None if the text has no word.
    """
    terms = query_terms(text)
    if not terms:
        return None
    if _is_sqlite(connection):
        asked = " AND ".join(
            f'"{term[0]}"*' if len(term) == 1 else f'"{" ".join(term)}"' for term in terms
        )
        number = _sqlite.c.rowid
        joined = _sqlite.join(ids, number == ids.c.number)
        found = sql.text("semid_words MATCH :asked").bindparams(asked=asked)
    else:
        phrases = (" <-> ".join(f"'{word}'" for word in term) for term in terms)
        asked = " & ".join(
            f"{phrase}:*" if len(term) == 1 else f"({phrase})"
            for phrase, term in zip(phrases, terms, strict=True)
        )
        number = _postgres.c.number
        joined = _postgres.join(ids, number == ids.c.number)
        found = sql.text("semid_words.words @@ CAST(:asked AS tsquery)").bindparams(asked=asked)
    query = (
        sql.select(ids)
        .select_from(joined)
        .where(found, owned_by(tokenizer), sql.not_(ids.c.removed))
    )
    return query.order_by(number)


def _vector(words: Sequence[str]) -> str:
    """Write words with their positions as PostgreSQL reads a tsvector; they hold no quotes."""
    return " ".join(
        f"'{word}':{min(place, MOST_POSITION)}" for place, word in enumerate(words, start=1)
    )


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
