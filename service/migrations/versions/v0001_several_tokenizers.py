"""Several tokenizers side by side, tombstones, numbered changes; takes version 0's items over."""

import secrets

import sqlalchemy as sql
from alembic import op

from service.registry.sqlite import VERSION_0

__all__ = ["downgrade", "upgrade"]

revision = "0001"
down_revision = None
_LONG = sql.BigInteger().with_variant(sql.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; where version 0 stands in a SQLite file, move its rows and drop it."""
    op.create_table(
        "semid_tokenizers",
        sql.Column("number", sql.Integer, nullable=False),
        sql.Column("fingerprint", sql.String, nullable=False),
        sql.Column("levels", sql.Integer, nullable=False),
        sql.Column("origin", sql.String, nullable=False),
        sql.PrimaryKeyConstraint("number", name="semid_tokenizers_key"),
        sql.UniqueConstraint("fingerprint", name="semid_tokenizers_fingerprint_once"),
    )
    op.create_table(
        "semid_promotions",
        sql.Column("number", sql.Integer, nullable=False),
        sql.Column("tokenizer", sql.Integer, nullable=False),
        sql.PrimaryKeyConstraint("number", name="semid_promotions_key"),
        sql.ForeignKeyConstraint(
            ["tokenizer"], ["semid_tokenizers.number"], name="semid_promotions_tokenizer_of"
        ),
    )
    op.create_table(
        "semid_ids",
        sql.Column("number", _LONG, nullable=False),
        sql.Column("tokenizer", sql.Integer, nullable=False),
        sql.Column("item_id", sql.String, nullable=False),
        sql.Column("codes", sql.LargeBinary, nullable=False),
        sql.Column("suffix", sql.Integer, nullable=False),
        sql.Column("distortion", sql.Float, nullable=False),
        sql.Column("title", sql.String),
        sql.Column("removed", sql.Boolean, nullable=False),
        sql.Column("change", _LONG, nullable=False),
        sql.PrimaryKeyConstraint("number", name="semid_ids_key"),
        sql.ForeignKeyConstraint(
            ["tokenizer"], ["semid_tokenizers.number"], name="semid_ids_tokenizer_of"
        ),
        sql.UniqueConstraint("item_id", "tokenizer", name="semid_ids_item_id_tokenizer_once"),
        sql.UniqueConstraint(
            "tokenizer", "codes", "suffix", name="semid_ids_tokenizer_codes_suffix_once"
        ),
        sql.UniqueConstraint("tokenizer", "change", name="semid_ids_tokenizer_change_once"),
    )
    connection = op.get_bind()
    tables = sql.inspect(connection)
    if connection.dialect.name == "sqlite" and all(map(tables.has_table, VERSION_0)):
        _move(secrets.token_hex(16))


def downgrade() -> None:
    """Refuse: what is removed would come back."""
    raise NotImplementedError("the registry's schema is not taken back; restore a backup")


def _move(origin: str) -> None:
    op.execute(
        sql.text(
            "INSERT INTO semid_tokenizers (number, fingerprint, levels, origin) "
            "SELECT 1, fingerprint, levels, :origin FROM tokenizer"
        ).bindparams(origin=origin)
    )
    op.execute(
        "INSERT INTO semid_promotions (number, tokenizer) SELECT 1, number FROM semid_tokenizers"
    )
    op.execute(
        "INSERT INTO semid_ids (number, tokenizer, item_id, codes, suffix, distortion, title, "
        "removed, change) SELECT number, 1, item_id, codes, suffix, distortion, title, false, "
        "number FROM items"
    )
    op.drop_table("items")
    op.drop_table("tokenizer")
