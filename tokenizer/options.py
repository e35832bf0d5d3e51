"""Set any field of a fit's configuration by its name: `radius=huber`, `network=identity`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.config import AutoencoderConfig, FitConfig
from tokenizer.quantizer_config import CONFIGS, GritConfig, as_variant, variant_config

__all__ = [
    "BOUNDS",
    "OPTIONS",
    "changed_options",
    "check_training",
    "configured",
    "fitted_configs",
    "fitted_to_size",
    "options_for",
    "options_of",
    "read_value",
    "with_options",
]

_usual = FitConfig()
# For each option: the part of the configuration that has this field, and the default.
OPTIONS: dict[str, tuple[str, Any]] = {
    **{
        field.name: ("", getattr(_usual, field.name))
        for field in fields(FitConfig)
        if field.name not in {"quantizer", "autoencoder"}
    },
    "quantizer": ("quantizer", _usual.quantizer.name),
    **{
        field.name: ("quantizer", getattr(variant_config(name), field.name))
        for name, kind in CONFIGS.items()
        for field in fields(kind)
        if field.name != "name"
    },
    **{
        field.name: ("autoencoder", getattr(_usual.autoencoder, field.name))
        for field in fields(AutoencoderConfig)
    },
}

_LARGE = 1e30
# The smallest and the largest value of each numeric field; for a tuple, of each element.
BOUNDS: dict[str, tuple[float, float]] = {
    "levels": (1, 16),
    "codebook_size": (2, 65_536),
    "search_beam": (1, 256),
    "crowded_choices": (1, 65_536),
    "latent": (2, 4096),
    "hidden": (1, 65_536),
    "dropout": (0, 0.99),
    "steps": (1, 10**9),
    "warmup_steps": (0, 10**9),
    "batch_size": (1, 10**9),
    "evaluate_every": (1, 10**9),
    "patience": (1, 10**9),
    "seed": (0, 2**63 - 1),
    "learning_rate": (1e-30, _LARGE),
    "codebook_learning_rate": (0, _LARGE),
    "weight_decay": (0, _LARGE),
    "held_out": (0, 0.9),
    "mixing": (0, 1),
    "separation": (0, _LARGE),
    "separation_margin": (0, _LARGE),
    "spectral_clip": (1e-3, _LARGE),
    "reset_below": (0, 1),
    "decay": (0, 1),
    **dict.fromkeys(
        (
            "usage_weight", "sum_weight", "commitment", "codebook_weight", "noise_variance",
            "wasserstein", "entropy_weight",
        ),
        (0, _LARGE),
    ),
}  # fmt: skip


def options_of(quantizer: str) -> list[str]:
    """Return the names of the options that the variant `quantizer` has."""
    own = {field.name for field in fields(CONFIGS[quantizer])}
    return [name for name, (part, _) in OPTIONS.items() if part != "quantizer" or name in own]


def options_for(quantizer: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that the variant `quantizer` has, without those of other variants.

    Raises:
        InputError: no variant has an option of that name.
    """
    check_name("quantizer", quantizer, CONFIGS)
    for name in options:
        check_name("option", name, OPTIONS)
    own = {*options_of(quantizer), "quantizer"}
    return {name: value for name, value in options.items() if name in own}


def with_options(config: FitConfig, options: Mapping[str, object]) -> FitConfig:
    """Return a configuration with some fields changed.

    Args:
        options: values by field name; a text is read as the field's type.

    Raises:
        InputError: a name is unknown or the variant does not have it, or the field cannot have the
            value.
    """
    variant = str(options.get("quantizer", config.quantizer.name))
    check_name("quantizer", variant, CONFIGS)
    changes: dict[str, dict[str, Any]] = {"": {}, "quantizer": {}, "autoencoder": {}}
    for name, value in options.items():
        if name == "quantizer":
            continue
        own = options_of(variant)
        if name in OPTIONS and name not in own:
            known = sorted(option for option in own if OPTIONS[option][0] == "quantizer")
            raise InputError(f"{variant} has no option {name!r}; it has {', '.join(known)}")
        check_name("option", name, ["quantizer", *own])
        part, default = OPTIONS[name]
        changes[part][name] = read_value(name, value, default)
    return replace(
        config,
        quantizer=as_variant(config.quantizer, variant, changes["quantizer"]),
        autoencoder=replace(config.autoencoder, **changes["autoencoder"]),
        **changes[""],
    )


def configured(named: Mapping[str, object], options: Mapping[str, object]) -> FitConfig:
    """Return a checked configuration from named parameters and further options.

    Raises:
        InputError: a name is unknown or in both mappings, or a value is invalid.
    """
    if both := sorted(named.keys() & options.keys()):
        raise InputError(f"options has {both[0]!r}; give it as the parameter {both[0]}= instead")
    config = fitted_to_size(with_options(FitConfig(), {**named, **options}))
    check_training(config)
    return config


def changed_options(config: FitConfig) -> dict[str, Any]:
    """Return the variant and the fields that differ from its defaults, for `with_options`."""
    name = config.quantizer.name
    usual = with_options(FitConfig(), {"quantizer": name})
    found: dict[str, Any] = {"quantizer": name}
    for option, (part, _) in OPTIONS.items():
        own, default = (getattr(each, part) if part else each for each in (config, usual))
        if option != "quantizer" and getattr(own, option, None) != getattr(default, option, None):
            found[option] = getattr(own, option)
    return found


def fitted_to_size(config: FitConfig) -> FitConfig:
    """Return the configuration with default `rank` and `top_k` no larger than the codebook."""
    quantizer, default = config.quantizer, GritConfig()
    if not isinstance(quantizer, GritConfig):
        return config
    smaller = {
        name: min(getattr(default, name), quantizer.codebook_size)
        for name in ("rank", "top_k")
        if getattr(quantizer, name) == getattr(default, name)
    }
    return replace(config, quantizer=replace(quantizer, **smaller))


def fitted_configs(quantizers: Sequence[str], options: Mapping[str, object]) -> list[FitConfig]:
    """Return a configuration for each quantizer; each takes the options that its variant has.

    Raises:
        InputError: as `options_for`, `with_options` and `check_training`.
    """
    configs = []
    for name in quantizers:
        changes = options_for(name, options) | {"quantizer": name}
        config = fitted_to_size(with_options(FitConfig(), changes))
        check_training(config)
        configs.append(config)
    return configs


def check_training(config: FitConfig) -> None:
    """Check that a tokenizer can be built and trained as configured.

    Raises:
        InputError: a name is unknown, or two values do not fit together.
    """
    # Imported here because the commands' help reads OPTIONS and BOUNDS and must not load torch.
    from tokenizer.model.networks import NETWORKS
    from tokenizer.quantizers import check_config

    for name, (least, most) in BOUNDS.items():
        part, default = OPTIONS[name]
        owner = getattr(config, part) if part else config
        if not hasattr(owner, name):
            continue
        value = getattr(owner, name)
        for number in value if isinstance(default, tuple) else (value,):
            if not least <= number <= most:
                raise InputError(f"{name} {number:g} is outside {least:g}…{most:g}")
    check_config(config.quantizer)
    check_name("network", config.autoencoder.network, NETWORKS)


def read_value(name: str, value: object, default: object) -> object:
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
