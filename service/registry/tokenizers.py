"""The tokenizers of a database, and which of them is the default."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from data_prep.errors import InputError
from service.registry.database import Database
from service.registry.migrations.schema import ids, promotions, recommenders, tokenizers

__all__ = [
    "EnrolledTokenizer",
    "default_tokenizer",
    "enrol",
    "enrol_in",
    "enrol_recommenders",
    "enrolled_tokenizers",
    "named_tokenizer",
    "promote",
    "recommender_for",
]


@dataclass(frozen=True)
class EnrolledTokenizer:
    """A tokenizer as a database knows it.

    Attributes:
        number: its key in the database; rows of IDs refer to it.
        origin: a random text, drawn at enrolment; it differs between databases.
        default: whether requests that name no tokenizer use this one.
    """

    number: int
    fingerprint: str
    levels: int
    origin: str
    default: bool


def enrolled_tokenizers(connection: Connection) -> list[EnrolledTokenizer]:
    """Return all tokenizers of a database, in order of enrolment."""
    default = _default(connection)
    return [
        EnrolledTokenizer(
            row.number, row.fingerprint, row.levels, row.origin, row.number == default
        )
        for row in connection.execute(sql.select(tokenizers).order_by(tokenizers.c.number))
    ]


def default_tokenizer(database: Database) -> EnrolledTokenizer | None:
    """Return the default tokenizer; None in a new database."""
    with database.reading() as connection:
        return next((one for one in enrolled_tokenizers(connection) if one.default), None)


def named_tokenizer(connection: Connection, fingerprint: str) -> EnrolledTokenizer:
    """Return the tokenizer whose fingerprint is or starts with `fingerprint`.

    Raises:
        InputError: none or several of the database's tokenizers match.
    """
    everyone = enrolled_tokenizers(connection)
    found = [one for one in everyone if fingerprint and one.fingerprint.startswith(fingerprint)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(one.fingerprint[:16] for one in everyone) or "none"
    problem = "several tokenizers start with" if found else "the database has no tokenizer"
    raise InputError(f"{problem} {fingerprint!r}; it has {known}")


def enrol(database: Database, fingerprint: str, levels: int) -> EnrolledTokenizer:
    """Return the tokenizer with a fingerprint; enrol it if it is new.

    A database's first tokenizer becomes the default.

    Raises:
        InputError: the database has the tokenizer with another number of levels.
    """
    with database.reading() as connection:
        found = _with_fingerprint(connection, fingerprint)
    if found is None:
        with database.writing() as connection:
            found = enrol_in(connection, fingerprint, levels)
    if found.levels != levels:
        raise InputError(
            f"database {database.name} has tokenizer {fingerprint} with {found.levels} levels, not "
            f"{levels}; give another --database"
        )
    return found


def enrol_in(connection: Connection, fingerprint: str, levels: int) -> EnrolledTokenizer:
    """Do the same as `enrol` inside a write transaction, but do not check the levels."""
    found = _with_fingerprint(connection, fingerprint)
    if found is None:
        row = {"fingerprint": fingerprint, "levels": levels, "origin": secrets.token_hex(16)}
        connection.execute(tokenizers.insert(), row)
        found = _with_fingerprint(connection, fingerprint)
        assert found is not None
        if _default(connection) is None:
            connection.execute(promotions.insert(), {"tokenizer": found.number})
    return found


def enrol_recommenders(database: Database, served: Mapping[str, str]) -> None:
    """Note the recommenders that are served: fingerprints by that of the tokenizer they read."""
    with database.writing() as connection:
        for tokenizer, fingerprint in served.items():
            own = recommenders.c.tokenizer == tokenizer
            connection.execute(recommenders.delete().where(own))
            row = {"tokenizer": tokenizer, "fingerprint": fingerprint}
            connection.execute(recommenders.insert(), row)


def recommender_for(connection: Connection, fingerprint: str) -> str | None:
    """Return the recommender last served for a tokenizer; one that reads no IDs is for any."""
    served = _recommenders(connection)
    return served.get(fingerprint, served.get(""))


def promote(
    database: Database,
    fingerprint: str,
    *,
    incomplete: bool = False,
    without_recommender: bool = False,
) -> EnrolledTokenizer:
    """Make a tokenizer the default for every process that serves the database.

    Args:
        incomplete: promote it even if some items of the present default have no ID by it.
        without_recommender: promote it even if recommenders are served and none reads its IDs.

    Raises:
        InputError: the tokenizer is unknown; such items exist and `incomplete` is False; or no
            recommender goes with it and `without_recommender` is False.
    """
    with database.writing() as connection:
        chosen = named_tokenizer(connection, fingerprint)
        default = _default(connection)
        lacking = 0 if default is None else _lacking(connection, default, chosen.number)
        if lacking and not incomplete:
            raise InputError(
                f"{lacking:,} items of the default tokenizer have no ID by "
                f"{chosen.fingerprint[:16]}…; post them with ?tokenizer={chosen.fingerprint[:16]}, "
                f"or take a table over with semid serve --ids; --incomplete promotes it as it is"
            )
        served = _recommenders(connection)
        if served and not without_recommender and not {chosen.fingerprint, ""} & served.keys():
            reads, name = next(iter(served.items()))
            raise InputError(
                f"no recommender reads the IDs of {chosen.fingerprint[:16]}…: {name[:16]}… reads "
                f"those of {reads[:16]}…; train one on the new IDs and serve it with "
                f"--recommender; --without-recommender promotes it as it is, and the old one goes "
                f"on and answers the new IDs"
            )
        connection.execute(promotions.insert(), {"tokenizer": chosen.number})
    return chosen


def _recommenders(connection: Connection) -> dict[str, str]:
    """Return the fingerprints of the recommenders, by that of the tokenizer that each reads."""
    rows = connection.execute(sql.select(recommenders).order_by(recommenders.c.tokenizer))
    return {row.tokenizer: row.fingerprint for row in rows}


def _default(connection: Connection) -> int | None:
    newest = sql.select(promotions.c.tokenizer).order_by(promotions.c.number.desc()).limit(1)
    return connection.scalar(newest)


def _with_fingerprint(connection: Connection, fingerprint: str) -> EnrolledTokenizer | None:
    everyone = enrolled_tokenizers(connection)
    return next((one for one in everyone if one.fingerprint == fingerprint), None)


def _lacking(connection: Connection, tokenizer: int, other: int) -> int:
    """Count the items that have an ID by `tokenizer` but none by `other`."""
    theirs = ids.alias()
    has = sql.exists().where(
        theirs.c.item_id == ids.c.item_id, theirs.c.tokenizer == other, sql.not_(theirs.c.removed)
    )
    query = (
        sql.select(sql.func.count())
        .select_from(ids)
        .where(ids.c.tokenizer == tokenizer, sql.not_(ids.c.removed), sql.not_(has))
    )
    return connection.scalar(query) or 0
