"""The fields of a configuration and of its parts, each set by its name alone: `radius=huber`."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, TypeVar

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.quantizer_config import CONFIGS, as_variant, variant_config

__all__ = ["OptionTable"]

Config = TypeVar("Config")


class OptionTable(Generic[Config]):
    """The options of a configuration, a dataclass with parts; one part, `quantizer`, has variants.

    Attributes:
        options: for each option, the part that has this field ("" for the whole) and the default.
        bounds: the smallest and the largest value of each numeric field; for a tuple, of each
            element.
    """

    def __init__(self, usual: Config, bounds: Mapping[str, tuple[float, float]]) -> None:
        whole: Any = usual
        names = [field.name for field in fields(whole)]
        self._parts = [name for name in names if is_dataclass(getattr(whole, name))]
        self.bounds = dict(bounds)
        self.options: dict[str, tuple[str, Any]] = {
            name: ("", getattr(whole, name)) for name in names if name not in self._parts
        }
        self.options["quantizer"] = ("quantizer", whole.quantizer.name)
        owners: list[tuple[str, Any]] = [("quantizer", variant_config(name)) for name in CONFIGS]
        owners += [(part, getattr(whole, part)) for part in self._parts]  # the usual variant's last
        for part, owner in owners:
            self.options |= {
                field.name: (part, getattr(owner, field.name))
                for field in fields(owner)
                if (part, field.name) != ("quantizer", "name")
            }

    def of(self, quantizer: str) -> list[str]:
        """Return the names of the options that the variant `quantizer` has."""
        own = {field.name for field in fields(CONFIGS[quantizer])}
        return [
            name for name, (part, _) in self.options.items() if part != "quantizer" or name in own
        ]

    def of_these(self, quantizer: str, options: Mapping[str, object]) -> dict[str, object]:
        """Return the options that the variant `quantizer` has, without those of other variants.

        Raises:
            InputError: no variant has an option of that name.
        """
        check_name("quantizer", quantizer, CONFIGS)
        for name in options:
            check_name("option", name, self.options)
        own = {*self.of(quantizer), "quantizer"}
        return {name: value for name, value in options.items() if name in own}

    def changed(self, config: Config, options: Mapping[str, object]) -> Config:
        """Return a configuration with some fields changed.

        Args:
            options: values by field name; a text is read as the field's type.

        Raises:
            InputError: a name is unknown or the variant does not have it, or the field cannot have
                the value.
        """
        whole: Any = config
        variant = str(options.get("quantizer", whole.quantizer.name))
        check_name("quantizer", variant, CONFIGS)
        own = self.of(variant)
        changes: dict[str, dict[str, Any]] = {part: {} for part in ("", *self._parts)}
        for name, value in options.items():
            if name == "quantizer":
                continue
            if name in self.options and name not in own:
                known = sorted(each for each in own if self.options[each][0] == "quantizer")
                raise InputError(f"{variant} has no option {name!r}; it has {', '.join(known)}")
            check_name("option", name, ["quantizer", *own])
            part, default = self.options[name]
            changes[part][name] = _read(name, value, default)
        parts = {
            part: replace(getattr(whole, part), **changes[part])
            for part in self._parts
            if part != "quantizer"
        }
        parts["quantizer"] = as_variant(whole.quantizer, variant, changes["quantizer"])
        found: Config = replace(whole, **parts, **changes[""])
        return found

    def check_bounds(self, config: Config) -> None:
        """Check the numbers of a configuration.

        Raises:
            InputError: one is out of bounds.
        """
        for name, (least, most) in self.bounds.items():
            part = self.options.get(name, ("", None))[0]
            value = getattr(getattr(config, part) if part else config, name, None)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not least <= number <= most:
                    raise InputError(f"{name} {number:g} is outside {least:g}…{most:g}")


def _read(name: str, value: object, default: object) -> object:
    """Read a value as the type of the field's default.

    Raises:
        InputError: it cannot be read so.
    """
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(default, tuple):
            parts = value.split(",") if isinstance(value, str) else list(_sequence(value))
            return tuple(int(part) for part in parts if part != "")
        if isinstance(default, int):
            return int(str(value))
        if isinstance(default, float):
            return float(str(value))
    except (KeyError, ValueError, TypeError) as error:
        kind = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            type(default), "whole numbers joined by commas"
        )
        raise InputError(f"option {name}={value} is not {kind}") from error
    return str(value)


def _sequence(value: object) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(value)
    return list(value)
