"""Any field of a training's configuration by its name: `radius=huber`, `network=identity`."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.config import AutoencoderConfig, FitConfig, QuantizerConfig

__all__ = ["BOUNDS", "OPTIONS", "check_training", "fitted_to_size", "with_options"]

_PARTS: dict[str, Any] = {
    "": FitConfig(),
    "quantizer": QuantizerConfig(),
    "autoencoder": AutoencoderConfig(),
}
# Each option's part of the configuration and its default; `quantizer` names the variant.
OPTIONS: dict[str, tuple[str, Any]] = {
    "quantizer" if (part, field.name) == ("quantizer", "name") else field.name: (
        part,
        getattr(default, field.name),
    )
    for part, default in _PARTS.items()
    for field in fields(default)
    if field.name not in _PARTS
}

_LARGE = 1e30
# The least and the largest value of each field that is a number, or of each of its numbers.
BOUNDS: dict[str, tuple[float, float]] = {
    "levels": (1, 16),
    "codebook_size": (2, 65_536),
    "search_beam": (1, 256),
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
    "weight_decay": (0, _LARGE),
    "held_out": (0, 0.9),
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


def with_options(config: FitConfig, options: Mapping[str, object]) -> FitConfig:
    """Return a configuration with some fields changed.

    Args:
        options: by the field's name; texts are read as the field's type.

    Raises:
        InputError: an unknown name, or a value that the field cannot have.
    """
    changes: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in options.items():
        check_name("option", name, OPTIONS)
        part, default = OPTIONS[name]
        changes[part]["name" if name == "quantizer" else name] = _read(name, value, default)
    return replace(
        config,
        quantizer=replace(config.quantizer, **changes["quantizer"]),
        autoencoder=replace(config.autoencoder, **changes["autoencoder"]),
        **changes[""],
    )


def fitted_to_size(config: FitConfig) -> FitConfig:
    """Return a configuration whose defaults of rank and top_k are not above a small codebook."""
    quantizer, default = config.quantizer, QuantizerConfig()
    smaller = {
        name: min(getattr(default, name), quantizer.codebook_size)
        for name in ("rank", "top_k")
        if getattr(quantizer, name) == getattr(default, name)
    }
    return replace(config, quantizer=replace(quantizer, **smaller))


def check_training(config: FitConfig) -> None:
    """See that a tokenizer can be built and trained as configured.

    Raises:
        InputError: an unknown name, or values that do not go together.
    """
    # Here, not above: the help of commands reads OPTIONS and BOUNDS, and must not wait for torch.
    from tokenizer.model.networks import NETWORKS
    from tokenizer.quantizers import check_config

    for name, (least, most) in BOUNDS.items():
        part, default = OPTIONS[name]
        value = getattr(getattr(config, part) if part else config, name)
        for number in value if isinstance(default, tuple) else (value,):
            if not least <= number <= most:
                raise InputError(f"{name} {number:g} is outside {least:g}…{most:g}")
    check_config(config.quantizer)
    check_name("network", config.autoencoder.network, NETWORKS)


def _read(name: str, value: object, default: object) -> object:
    """Read a value as the type of the field's default."""
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
