"""Vectors of items, so that nearest items are exact, and the recommender of each tokenizer."""

import sqlalchemy as sql
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0003"
down_revision = "0002"
_LONG = sql.BigInteger().with_variant(sql.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, empty: items that are there already are answered from their codes."""
    op.create_table(
        "semid_vectors",
        sql.Column("number", _LONG, nullable=False, autoincrement=False),
        sql.Column("direction", sql.LargeBinary, nullable=False),
        sql.Column("length", sql.Float, nullable=False),
        sql.PrimaryKeyConstraint("number", name="semid_vectors_key"),
        sql.ForeignKeyConstraint(["number"], ["semid_ids.number"], name="semid_vectors_number_of"),
    )
    op.create_table(
        "semid_recommenders",
        sql.Column("tokenizer", sql.String, nullable=False),
        sql.Column("fingerprint", sql.String, nullable=False),
        sql.PrimaryKeyConstraint("tokenizer", name="semid_recommenders_key"),
    )


def downgrade() -> None:
    """Refuse: no migration can be undone."""
    raise NotImplementedError("the registry's schema cannot be downgraded; restore a backup")
