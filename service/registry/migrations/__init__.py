"""The registry's schema versions: alembic migrations, shipped in the package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

__all__ = ["migrate", "versions"]


def migrate(connection: Connection, version: str = "head") -> None:
    """Run the migrations that a database lacks, in the connection's transaction.

    Args:
        version: the last migration to run; "head" is the newest.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def versions() -> list[str]:
    """Return all versions, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
