"""The registry's schema, version by version: alembic migrations that travel in the package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

__all__ = ["migrate", "versions"]


def migrate(connection: Connection, version: str = "head") -> None:
    """Run the migrations that a database lacks, in the connection's transaction.

    Args:
        version: the last one to run; the newest without.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def versions() -> list[str]:
    """Return all versions, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
