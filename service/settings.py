"""The settings of a command: command line, then environment, then semid.toml, then defaults."""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from data_prep.errors import InputError

__all__ = [
    "OFTEN",
    "CommandSettings",
    "Commas",
    "Paths",
    "RegistrySettings",
    "Several",
    "argument",
    "from_core",
    "option",
    "option_name",
    "resolve",
    "shown",
]

S = TypeVar("S", bound="CommandSettings")
OFTEN = "often"  # marks fields whose option may be given often
TOML = Path("semid.toml")
MOST_SHOWN = 80  # characters of a wrong value in a message


def _split(separator: str) -> Callable[[object], object]:
    def split(value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(separator) if part.strip()]
        return (value,) if isinstance(value, Path) else value

    return split


# One option with names joined by commas; one that is given often; paths that are given often.
# In the environment all are one text.
Commas = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split(","))]
Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split(",")), OFTEN]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split(os.pathsep)), OFTEN]


def option(
    description: str,
    default: Any = ...,
    *,
    name: str = "",
    metavar: str = "",
    default_text: str = "",
    panel: str = "",
    hidden: bool = False,
    **bounds: Any,
) -> Any:
    """Return a field of a command's model.

    Args:
        description: the help text.
        name: on the command line, where it is not the field's.
        metavar: what stands for the value in the help, where the type does not say it.
        default_text: the default in the help, where it is not the value.
        panel: heading of the options that it stands among in the help.
        hidden: whether the help passes over it.
        bounds: as `pydantic.Field` takes them.
    """
    extra: dict[str, Any] = {
        "name": name,
        "metavar": metavar,
        "default": default_text,
        "panel": panel,
        "hidden": hidden,
    }
    return Field(default, description=description, json_schema_extra={"shown": extra}, **bounds)


def argument(description: str, default: Any = ..., **more: Any) -> Any:
    """Return a field that stands on the command line without a name; `more` as for `option`."""
    field = option(description, default, **more)
    shown(field)["argument"] = True
    return field


def from_core(name: str, description: str, *, panel: str = "") -> Any:
    """Return an option whose default and bounds are those of the tokenizer's configuration.

    Args:
        name: of the configuration's field, a key of `tokenizer.options.OPTIONS`.
    """
    from tokenizer.options import BOUNDS, OPTIONS

    least, most = BOUNDS.get(name, (None, None))
    bounds: dict[str, Any] = {} if least is None else {"ge": least, "le": most}
    usual = OPTIONS[name][1]
    return option(description, usual, panel=panel, **bounds)


def shown(field: FieldInfo) -> dict[str, Any]:
    """Return how the command line shows a field: what `option` and `argument` were told."""
    extra = field.json_schema_extra
    told = extra.get("shown", {}) if isinstance(extra, dict) else {}
    assert isinstance(told, dict)
    return told


class CommandSettings(BaseSettings):
    """What a command can be told; each has a table in semid.toml and a prefix in the environment.

    Attributes:
        command: its words: `prepare amazon` reads [prepare.amazon] and SEMID_PREPARE_AMAZON_….
        after_stop: how to go on after Ctrl-C; names of fields stand in braces.
    """

    model_config = SettingsConfigDict(extra="forbid", allow_inf_nan=False)
    command: ClassVar[str] = ""
    after_stop: ClassVar[str] = "nothing is kept; the same command starts anew"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the strongest first."""
        variables = EnvSettingsSource(settings_cls, env_prefix=cls.prefix(), env_ignore_empty=True)
        tables = [InitSettingsSource(settings_cls, read) for _, read in cls.weaker()]
        return init_settings, variables, *tables

    @classmethod
    def table(cls) -> tuple[str, ...]:
        """Return the name of the command's table in semid.toml, a part a word."""
        return tuple(cls.command.replace("-", "_").split())

    @classmethod
    def prefix(cls) -> str:
        """Return how the command's variables of the environment start."""
        return "_".join(("SEMID", *cls.table(), "")).upper()

    @classmethod
    def weaker(cls) -> list[tuple[str, dict[str, Any]]]:
        """Return the sources below command line and environment: a name, and what it says.

        Raises:
            InputError: semid.toml cannot be read.
        """
        return [_toml(cls.table())]


def _toml(path: Sequence[str]) -> tuple[str, dict[str, Any]]:
    name = f"{TOML}, table {'.'.join(path)}"
    if not TOML.is_file():
        return name, {}
    try:
        found: object = tomllib.loads(TOML.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{TOML} cannot be read: {error}") from error
    for word in path:
        found = found.get(word, {}) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{name}, is no table; write [{'.'.join(path)}] and options below it")
    return name, found


class RegistrySettings(CommandSettings):
    """A command on the registry: it reads the database's URL also as `semid serve` does."""

    database: str = option(
        "URL of the registry, SQLite or PostgreSQL; also as SEMID_SERVE_DATABASE or in the table "
        "serve of semid.toml.",
        "sqlite:///semid.db",
        metavar="URL",
    )

    @classmethod
    def weaker(cls) -> list[tuple[str, dict[str, Any]]]:
        variable = "SEMID_SERVE_DATABASE"
        url = os.environ.get(variable)
        toml, served = _toml(("serve",))
        of_serve = {name: value for name, value in served.items() if name == "database"}
        return [
            (variable, {"database": url} if url else {}),
            *super().weaker(),
            (toml, of_serve),
        ]


def option_name(name: str, field: FieldInfo) -> str:
    """Return what a field is called on the command line."""
    if shown(field).get("argument"):
        return str(shown(field).get("metavar") or name.upper())
    return str(shown(field).get("name") or f"--{name.replace('_', '-')}")


def resolve(settings: type[S], given: Mapping[str, object]) -> S:
    """Return settings from the options that were given (not None) and the weaker sources.

    Raises:
        InputError: a value is out of bounds or unknown; the message names it and its source.
    """
    told = {name: value for name, value in given.items() if value is not None}
    try:
        return settings(**told)
    except ValidationError as error:
        # What is missing may be missing for a name that is misspelled, which is told first.
        first = min(error.errors(), key=lambda each: each["type"] == "missing")
        raise InputError(_fault(settings, told, dict(first))) from error
    except SettingsError as error:
        raise InputError(
            f"a variable {settings.prefix()}… of the environment cannot be read: {error}"
        ) from error


def _fault(settings: type[S], given: Mapping[str, object], error: Mapping[str, Any]) -> str:
    """Return what is wrong with one option, where it comes from, and what would be right."""
    first = str(error["loc"][0]) if error["loc"] else ""
    field = settings.model_fields.get(first)
    message = str(error["msg"]).removeprefix("Value error, ")
    source = _source(settings, given, first)
    if field is None and first:
        # The value is not shown: what stands under an unknown name may be a secret.
        near = get_close_matches(first, settings.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{source}: there is no option {first!r}{hint}"
    if field is None:
        return message
    name = option_name(first, field)
    if error["type"] == "missing":
        return f"{name} is needed; --help tells what it takes"
    value = str(error["input"])
    value = value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…"
    return f"{name}: {message} (given: {value}, {source})"


def _source(settings: type[S], given: Mapping[str, object], name: str) -> str:
    if name in given:
        return "on the command line"
    variable = f"{settings.prefix()}{name.upper()}"
    if os.environ.get(variable):
        return f"in {variable}"
    return next((f"in {where}" for where, read in settings.weaker() if name in read), "by default")
