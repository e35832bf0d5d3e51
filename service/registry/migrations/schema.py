"""The registry's tables after the newest migration."""

from typing import Any

import sqlalchemy as sql

__all__ = [
    "VERSION",
    "VERSION_TABLE",
    "ids",
    "owned_by",
    "prefixes",
    "promotions",
    "recommenders",
    "schema",
    "tokenizers",
    "vectors",
]

VERSION = "0004"  # the newest in service/registry/migrations/versions
VERSION_TABLE = "semid_version"
_Long = sql.BigInteger().with_variant(sql.Integer, "sqlite")
schema = sql.MetaData(
    naming_convention={
        "pk": "%(table_name)s_key",
        "uq": "%(table_name)s_%(column_0_N_name)s_once",
        "fk": "%(table_name)s_%(column_0_name)s_of",
    }
)
tokenizers = sql.Table(
    "semid_tokenizers",
    schema,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("fingerprint", sql.String, nullable=False, unique=True),
    sql.Column("levels", sql.Integer, nullable=False),
    sql.Column("origin", sql.String, nullable=False),  # random; it differs between databases
)
promotions = sql.Table(  # the newest row names the default tokenizer
    "semid_promotions",
    schema,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("tokenizer", sql.ForeignKey(tokenizers.c.number), nullable=False),
)
ids = sql.Table(
    "semid_ids",
    schema,
    sql.Column("number", _Long, primary_key=True),
    sql.Column("tokenizer", sql.ForeignKey(tokenizers.c.number), nullable=False),
    sql.Column("item_id", sql.String, nullable=False),
    sql.Column("codes", sql.LargeBinary, nullable=False),  # big-endian, so it sorts as codes do
    sql.Column("suffix", sql.Integer, nullable=False),
    sql.Column("distortion", sql.Float, nullable=False),
    sql.Column("title", sql.String),
    sql.Column("removed", sql.Boolean, nullable=False),
    sql.Column("change", _Long, nullable=False),  # number of the item's last change
    sql.UniqueConstraint("item_id", "tokenizer"),
    sql.UniqueConstraint("tokenizer", "codes", "suffix"),
    sql.UniqueConstraint("tokenizer", "change"),
)
# The words of titles stand in semid_words: an FTS5 table in SQLite, a tsvector in PostgreSQL.
prefixes = sql.Table(  # number of items under each short prefix
    "semid_prefixes",
    schema,
    sql.Column("tokenizer", sql.ForeignKey(tokenizers.c.number), primary_key=True),
    sql.Column("length", sql.Integer, primary_key=True),  # codes of the prefix
    sql.Column("prefix", sql.LargeBinary, primary_key=True),
    sql.Column("last", sql.LargeBinary, nullable=False),  # largest codes under the prefix
    sql.Column("items", sql.BigInteger, nullable=False),
)
vectors = sql.Table(  # of items whose vector is kept; an item has at most one by each tokenizer
    "semid_vectors",
    schema,
    sql.Column("number", sql.ForeignKey(ids.c.number), primary_key=True, autoincrement=False),
    sql.Column("direction", sql.LargeBinary, nullable=False),  # float16, little-endian, length 1
    sql.Column("length", sql.Float, nullable=False),  # of the vector before it was scaled
)
recommenders = sql.Table(  # the recommender last served for each tokenizer
    "semid_recommenders",
    schema,
    sql.Column("tokenizer", sql.String, primary_key=True),  # fingerprint; empty for dense IDs
    sql.Column("fingerprint", sql.String, nullable=False),
)


def owned_by(tokenizer: Any) -> sql.ColumnElement[bool]:
    """Return the condition that an ID is a tokenizer's, for queries that find items by number.

    SQLite believes that a tokenizer has ten IDs. Without the sum it would read all of them by an
    index that begins with the tokenizer.
    """
    own: sql.ColumnElement[bool] = ids.c.tokenizer + sql.literal_column("0") == tokenizer
    return own
