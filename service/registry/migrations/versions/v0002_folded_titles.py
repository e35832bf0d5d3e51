"""Folded titles, so that a title search finds the same items on every database."""

import sqlalchemy as sql
from alembic import op

from data_prep.values.folding import folded

__all__ = ["downgrade", "upgrade"]

revision = "0002"
down_revision = "0001"
CHUNK = 1000
_ids = sql.table(
    "semid_ids",
    sql.column("number", sql.BigInteger),
    sql.column("title", sql.String),
    sql.column("folded", sql.String),
)


def upgrade() -> None:
    """Add the column and fill it from the existing titles."""
    op.add_column("semid_ids", sql.Column("folded", sql.String))
    connection = op.get_bind()
    update = (
        _ids.update()
        .where(_ids.c.number == sql.bindparam("_number"))
        .values(folded=sql.bindparam("_folded"))
    )
    last = -1
    while True:
        rows = connection.execute(
            sql.select(_ids.c.number, _ids.c.title)
            .where(_ids.c.number > last, _ids.c.title.is_not(None))
            .order_by(_ids.c.number)
            .limit(CHUNK)
        ).all()
        if not rows:
            return
        connection.execute(
            update, [{"_number": row.number, "_folded": folded(row.title)} for row in rows]
        )
        last = rows[-1].number


def downgrade() -> None:
    """Refuse: no migration can be undone."""
    raise NotImplementedError("the registry's schema cannot be downgraded; restore a backup")
