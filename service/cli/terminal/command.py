"""Make a typer command from a pydantic model: its fields give the options and the help."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from data_prep.errors import InputError
from service.cli.terminal.console import be_quiet
from service.cli.terminal.endings import EndedError, ending
from service.settings import REPEATABLE, CommandSettings, display_of, option_name, resolve

__all__ = ["add_command", "in_order"]

S = TypeVar("S", bound=CommandSettings)
UNBOUNDED = 10**9
METAVARS = {int: "INTEGER", float: "NUMBER", Path: "PATH", dict: "NAME=VALUE"}


def add_command(
    app: typer.Typer,
    function: Callable[[S], None],
    name: str = "",
    *,
    hidden: bool = False,
    panel: str | None = None,
) -> None:
    """Add a command that calls a function with one settings model.

    Args:
        name: name of the command; by default the function's.
        panel: heading in the help under which the command is listed.
    """
    (parameter,) = inspect.signature(function).parameters.values()
    settings: type[S] = parameter.annotation

    def run(**given: Any) -> None:
        _run(function, settings, given)

    parameters = [_parameter(name, field) for name, field in in_order(settings)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__doc__ = function.__doc__
    name = name or function.__name__.replace("_", "-")
    app.command(name, hidden=hidden, rich_help_panel=panel)(run)


def in_order(settings: type[CommandSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield a model's fields in the help's order: its own before shared ones."""
    own = inspect.get_annotations(settings)
    fields = settings.model_fields
    yield from ((name, fields[name]) for name in own if name in fields)
    yield from ((name, field) for name, field in fields.items() if name not in own)


def _run(function: Callable[[S], None], settings: type[S], given: Mapping[str, Any]) -> None:
    read = {name: _read(name, settings.model_fields[name], value) for name, value in given.items()}
    chosen = resolve(settings, read)
    be_quiet(quiet=getattr(chosen, "quiet", False))
    try:
        function(chosen)
    except KeyboardInterrupt as stop:
        how = chosen.after_stop.format_map(vars(chosen))
        raise EndedError(130, f"stopped; {how}") from stop
    except OSError as error:  # typer would end on some of them without a word
        raise ending(error) from error


def _read(name: str, field: FieldInfo, value: Any) -> Any:
    """Convert a value of the command line for the model; None if none was given."""
    if value is None or value == []:
        return None
    return _pairs(name, field, value) if _kind(field) is dict else value


def _pairs(name: str, field: FieldInfo, given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            form = display_of(field).get("metavar") or METAVARS[dict]
            raise InputError(f"{option_name(name, field)} {text} is not {form}")
        pairs[key] = value
    return pairs


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return a field as a typer parameter; typer passes texts, and the model parses them."""
    kind, told = _kind(field), display_of(field)
    plain: Any = {bool: bool, Path: Path}.get(kind, str)
    given = list[plain] if _is_repeatable(field) else plain
    more: dict[str, Any] = {
        "help": _help(field),
        "metavar": told.get("metavar") or _metavar(field),
        "show_default": False,
        "hidden": told.get("hidden", False),
        "rich_help_panel": told.get("panel") or None,
    }
    if told.get("argument"):
        more["metavar"] = option_name(name, field)
        info: Any = typer.Argument(**more)
    else:
        names = option_name(name, field)
        if kind is bool:
            names += f"/--no-{names.removeprefix('--')}"
            more["metavar"] = None
        info = typer.Option(names, **more)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[given | None, info],
    )


def _kind(field: FieldInfo) -> type:
    """Return the type of a field's value; for a tuple, of its elements."""
    annotation: Any = field.annotation
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if NoneType in get_args(annotation):
        annotation = kinds[0]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return str
    return get_origin(annotation) or annotation  # type: ignore[no-any-return]


def _is_repeatable(field: FieldInfo) -> bool:
    return REPEATABLE in field.metadata or _kind(field) is dict


def _metavar(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "|".join(get_args(field.annotation))
    return METAVARS.get(_kind(field), "TEXT")


def _help(field: FieldInfo) -> str:
    """Return a field's description with its bounds, and its default or "required"."""
    marks = [] if (bounds := _bounds(field)) is None else [bounds]
    if field.is_required():
        marks.append("required")
    elif text := _default(field):
        marks.append(f"default: {text}")
    description = (field.description or "").replace("[", "\\[")
    return " ".join([description, *(f"[dim]\\[{mark}][/dim]" for mark in marks)])


def _bounds(field: FieldInfo) -> str | None:
    """Return a number's bounds in words; None if it has none."""
    limits: Mapping[type, Any] = {type(each): each for each in _limits(field)}
    least, above = limits.get(Ge), limits.get(Gt)
    most, below = limits.get(Le), limits.get(Lt)
    parts = [
        "" if least is None else f"from {_number(least.ge)}",
        "" if above is None else f"above {_number(above.gt)}",
        # An upper bound that nobody reaches is left out.
        "" if most is None or most.le >= UNBOUNDED else f"to {_number(most.le)}",
        "" if below is None else f"below {_number(below.lt)}",
    ]
    return " ".join(filter(None, parts)) or None


def _limits(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for kind in get_args(field.annotation):  # the bounds in `Annotated[int, …] | None`
        if get_origin(kind) is Annotated:
            for each in get_args(kind)[1:]:
                yield from getattr(each, "metadata", [each])


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and value % 1 else str(int(value))


def _default(field: FieldInfo) -> str:
    value, text = field.get_default(call_default_factory=True), display_of(field).get("default")
    if text or value is None or value is PydanticUndefined:
        return text or ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, (tuple, dict)):
        return ",".join(map(str, value))
    return _number(value) if isinstance(value, (int, float)) else str(value)
