"""A command's settings, from the command line, environment, semid.toml and defaults, in that order.

The first source that has a value wins.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator
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
    "REPEATABLE",
    "CommandSettings",
    "Commas",
    "Paths",
    "RegistrySettings",
    "Several",
    "argument",
    "display_of",
    "from_core",
    "option",
    "option_name",
    "resolve",
]

S = TypeVar("S", bound="CommandSettings")
REPEATABLE = "often"  # marks fields whose option may be repeated
TOML = Path("semid.toml")
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")  # a Path has one of the two slashes
MOST_SHOWN = 80  # characters of a wrong value that a message shows


def _split(separator: str) -> Callable[[object], object]:
    def split(value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(separator) if part.strip()]
        return (value,) if isinstance(value, Path) else value

    return split


# Commas: one option whose names are joined by commas. Several: a repeated option. Paths: a repeated
# option with paths. An environment variable holds all values in one text.
Commas = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split(","))]
Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split(",")), REPEATABLE]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split(os.pathsep)), REPEATABLE]


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
        default: the default value; without one the option is required.
        name: the option's name, if it differs from the field's.
        metavar: the placeholder for the value in the help, if the type's is not clear.
        default_text: the default that the help shows, if it is not the value.
        panel: the heading in the help under which the option stands.
        hidden: whether the help leaves the option out.
        bounds: bounds of the value, as `pydantic.Field` takes them.
    """
    extra: dict[str, Any] = {
        "name": name,
        "metavar": metavar,
        "default": default_text,
        "panel": panel,
        "hidden": hidden,
    }
    return Field(default, description=description, json_schema_extra={"display": extra}, **bounds)


def argument(description: str, default: Any = ..., **more: Any) -> Any:
    """Return a field that is a positional argument; `more` as for `option`."""
    field = option(description, default, **more)
    display_of(field)["argument"] = True
    return field


def from_core(name: str, description: str, *, panel: str = "") -> Any:
    """Return an option with the default and bounds of a field of the tokenizer's configuration.

    Args:
        name: the field's name, a key of `tokenizer.options.OPTIONS`.
    """
    from tokenizer.options import BOUNDS, OPTIONS

    least, most = BOUNDS.get(name, (None, None))
    bounds: dict[str, Any] = {} if least is None else {"ge": least, "le": most}
    usual = OPTIONS[name][1]
    return option(description, usual, panel=panel, **bounds)


def display_of(field: FieldInfo) -> dict[str, Any]:
    """Return how the command line shows a field, as `option` or `argument` stored it."""
    extra = field.json_schema_extra
    told = extra.get("display", {}) if isinstance(extra, dict) else {}
    assert isinstance(told, dict)
    return told


class CommandSettings(BaseSettings):
    """The settings of one command, with its table in semid.toml and its environment variables.

    Attributes:
        command: the command's words: `prepare amazon` reads the table [prepare.amazon] and the
            variables SEMID_PREPARE_AMAZON_….
        after_stop: the message after Ctrl-C, which says how to go on; it may hold field names in
            braces.
    """

    model_config = SettingsConfigDict(extra="forbid", allow_inf_nan=False)
    command: ClassVar[str] = ""
    after_stop: ClassVar[str] = "nothing is kept; the same command starts again"

    @field_validator("out", mode="before", check_fields=False)
    @classmethod
    def _is_local(cls, out: object) -> object:
        if isinstance(out, str | Path) and _URL.match(str(out)):
            raise ValueError(
                "is a URL; results are written on this machine: give a path, then copy"
            )
        return out

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        variables = EnvSettingsSource(settings_cls, env_prefix=cls.prefix(), env_ignore_empty=True)
        tables = [InitSettingsSource(settings_cls, read) for _, read in cls.weaker()]
        return init_settings, variables, *tables

    @classmethod
    def table(cls) -> tuple[str, ...]:
        """Return the path of the command's table in semid.toml, one part for each word."""
        return tuple(cls.command.replace("-", "_").split())

    @classmethod
    def prefix(cls) -> str:
        """Return the prefix of the command's environment variables."""
        return "_".join(("SEMID", *cls.table(), "")).upper()

    @classmethod
    def weaker(cls) -> list[tuple[str, dict[str, Any]]]:
        """Return the sources below command line and environment: each one's name and values.

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
        raise InputError(f"{name}, is not a table; write [{'.'.join(path)}] and options below it")
    return name, found


class RegistrySettings(CommandSettings):
    """The settings of a command on the registry, by default on the database of `semid serve`."""

    database: str = option(
        "URL of the registry's database, SQLite or PostgreSQL. SEMID_SERVE_DATABASE and the table "
        "serve of semid.toml set it too.",
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
    """Return a field's name on the command line."""
    if display_of(field).get("argument"):
        return str(display_of(field).get("metavar") or name.upper())
    return str(display_of(field).get("name") or f"--{name.replace('_', '-')}")


def resolve(settings: type[S], given: Mapping[str, object]) -> S:
    """Return settings from the given options (those not None) and the weaker sources.

    Raises:
        InputError: a value is out of bounds or unknown; the message names it and its source.
    """
    told = {name: value for name, value in given.items() if value is not None}
    try:
        return settings(**told)
    except ValidationError as error:
        # A missing option may come from a misspelled name, so report the unknown name first.
        first = min(error.errors(), key=lambda each: each["type"] == "missing")
        raise InputError(_fault(settings, told, dict(first))) from error
    except SettingsError as error:
        raise InputError(
            f"an environment variable {settings.prefix()}… cannot be read: {error}"
        ) from error


def _fault(settings: type[S], given: Mapping[str, object], error: Mapping[str, Any]) -> str:
    """Return a message: what is wrong with an option, where its value is from, and the remedy."""
    first = str(error["loc"][0]) if error["loc"] else ""
    field = settings.model_fields.get(first)
    message = str(error["msg"]).removeprefix("Value error, ")
    source = _source(settings, given, first)
    if field is None and first:
        # Do not show the value: under an unknown name it may be a secret.
        near = get_close_matches(first, settings.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{source}: there is no option {first!r}{hint}"
    if field is None:
        return message
    name = option_name(first, field)
    if error["type"] == "missing":
        return f"{name} is required; see --help"
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
