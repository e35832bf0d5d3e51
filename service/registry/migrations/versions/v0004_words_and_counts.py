"""Words of titles for full-text search, and kept counts of prefixes."""

from collections import Counter
from collections.abc import Iterator

import sqlalchemy as sql
from alembic import op
from sqlalchemy.engine import Connection

from data_prep.values.words import title_words

__all__ = ["downgrade", "upgrade"]

revision = "0004"
down_revision = "0003"
CHUNK = 5000
_ids = sql.table(
    "semid_ids",
    *(sql.column(name) for name in ("number", "tokenizer", "codes", "title", "removed")),
)


def upgrade() -> None:
    """Make the tables, fill them, and drop the folded titles, which nothing reads any more."""
    op.create_table(
        "semid_prefixes",
        sql.Column("tokenizer", sql.Integer, nullable=False),
        sql.Column("length", sql.Integer, nullable=False),
        sql.Column("prefix", sql.LargeBinary, nullable=False),
        sql.Column("last", sql.LargeBinary, nullable=False),
        sql.Column("items", sql.BigInteger, nullable=False),
        sql.PrimaryKeyConstraint("tokenizer", "length", "prefix", name="semid_prefixes_key"),
        sql.ForeignKeyConstraint(
            ["tokenizer"], ["semid_tokenizers.number"], name="semid_prefixes_tokenizer_of"
        ),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE semid_words USING fts5(words, content='', "
            "tokenize=\"unicode61 remove_diacritics 0 categories 'L* N* Mn Mc Me'\")"
        )
    else:
        op.execute(
            "CREATE TABLE semid_words (number bigint CONSTRAINT semid_words_key PRIMARY KEY "
            "CONSTRAINT semid_words_number_of REFERENCES semid_ids (number), "
            "words tsvector NOT NULL)"
        )
        op.execute("CREATE INDEX semid_words_by_word ON semid_words USING gin (words)")
    _fill()
    op.drop_column("semid_ids", "folded")


def _fill() -> None:
    connection, last = op.get_bind(), -1
    query = sql.select(_ids).order_by(_ids.c.number).limit(CHUNK)
    counts: Counter[tuple[int, int, bytes, bytes]] = Counter()
    while rows := connection.execute(query.where(_ids.c.number > last)).all():
        _add_words(connection, [(row.number, row.title) for row in rows])
        for row in rows:
            if not row.removed:
                counts.update((row.tokenizer, *prefix) for prefix in _prefixes(bytes(row.codes)))
        last = rows[-1].number
    insert = sql.text(
        "INSERT INTO semid_prefixes (tokenizer, length, prefix, last, items) "
        "VALUES (:tokenizer, :length, :prefix, :last, :items)"
    )
    names = ("tokenizer", "length", "prefix", "last", "items")
    found = [dict(zip(names, (*key, items), strict=True)) for key, items in counts.items()]
    for first in range(0, len(found), CHUNK):
        connection.execute(insert, found[first : first + CHUNK])


def _add_words(connection: Connection, items: list[tuple[int, str | None]]) -> None:
    sqlite = connection.dialect.name == "sqlite"
    rows = []
    for number, title in items:
        words = title_words(title)
        if words and sqlite:
            rows.append({"number": number, "words": " ".join(words)})
        elif words:
            placed = enumerate(words, start=1)
            told = " ".join(f"'{word}':{min(place, 16_383)}" for place, word in placed)
            rows.append({"number": number, "words": told})
    column, value = ("rowid", ":words") if sqlite else ("number", "CAST(:words AS tsvector)")
    if rows:
        insert = f"INSERT INTO semid_words({column}, words) VALUES (:number, {value})"  # noqa: S608 # our names
        connection.execute(sql.text(insert), rows)


def _prefixes(key: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    levels = len(key) // 2
    for length in range(1, max(1, min(levels - 1, (levels + 1) // 2)) + 1):
        prefix = key[: 2 * length]
        yield length, prefix, prefix + b"\xff" * (len(key) - len(prefix))


def downgrade() -> None:
    """Refuse: no version of the schema is taken back."""
    raise NotImplementedError("the registry's schema is not taken back; restore a backup")
