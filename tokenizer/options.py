"""Set any field of a fit's configuration by its name: `radius=huber`, `network=identity`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.config import FitConfig
from tokenizer.option_table import OptionTable
from tokenizer.quantizer_config import sized

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
    "with_options",
]

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


_TABLE = OptionTable(FitConfig(), BOUNDS)
# For each option: the part of the configuration that has this field, and the default.
OPTIONS = _TABLE.options


def options_of(quantizer: str) -> list[str]:
    """Return the names of the options that the variant `quantizer` has."""
    return _TABLE.of(quantizer)


def options_for(quantizer: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that the variant `quantizer` has, without those of other variants.

    Raises:
        InputError: no variant has an option of that name.
    """
    return _TABLE.of_these(quantizer, options)


def with_options(config: FitConfig, options: Mapping[str, object]) -> FitConfig:
    """Return a configuration with some fields changed.

    Args:
        options: values by field name; a text is read as the field's type.

    Raises:
        InputError: a name is unknown or the variant does not have it, or the field cannot have the
            value.
    """
    return _TABLE.changed(config, options)


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
    return replace(config, quantizer=sized(config.quantizer))


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

    _TABLE.check_bounds(config)
    check_config(config.quantizer)
    check_name("network", config.autoencoder.network, NETWORKS)
