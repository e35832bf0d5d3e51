"""A PostgreSQL database that several processes read and write at once."""

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

__all__ = ["postgres_engine"]

LOCK = 0x73656D6964  # "semid"; every write takes this advisory lock
CONNECT_ARGS = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # ms without an answer until a connection counts as lost
    "options": "-c lock_timeout=60s",
}


def postgres_engine(url: sql.URL) -> Engine:
    """Return a psycopg 3 engine with at most 8 connections; it replaces lost ones."""
    engine = sql.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=3,
        connect_args={name: value for name, value in CONNECT_ARGS.items() if name not in url.query},
    )
    sql.event.listen(engine, "begin", _on_begin)
    return engine


def _on_begin(connection: Connection) -> None:
    """Run write transactions one at a time, as SQLite does, so that what a write reads stays true.

    A write keeps the lock until it commits, so readers see changes in the order of their numbers.
    A connection with the execution option `writing` is a write.
    """
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
