"""Several tokenizers side by side, tombstones, numbered changes."""

import sqlalchemy as sql
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0001"
down_revision = None
_LONG = sql.BigInteger().with_variant(sql.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
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


def downgrade() -> None:
    """Refuse: without tombstones, removed items would come back."""
    raise NotImplementedError("the registry's schema cannot be downgraded; restore a backup")
