"""A PostgreSQL database that many processes read and write at once."""

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

__all__ = ["postgres_engine"]

LOCK = 0x73656D6964  # "semid": the advisory lock that every write takes
WAITING = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # ms without an answer, after which a connection is lost
    "options": "-c lock_timeout=60s",
}


def postgres_engine(url: sql.URL) -> Engine:
    """Return an engine of few connections for psycopg 3; lost ones are made anew."""
    engine = sql.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=3,
        connect_args={name: value for name, value in WAITING.items() if name not in url.query},
    )
    sql.event.listen(engine, "begin", _begun)
    return engine


def _begun(connection: Connection) -> None:
    """Let one write follow the other, as SQLite does: what a write reads stays true.

    The lock is held until the write is committed, so that changes are seen in the order of their
    numbers. A write is a connection with the execution option `writing`.
    """
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
