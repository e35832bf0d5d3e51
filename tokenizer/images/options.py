"""Set any field of an image tokenizer's configuration by its name: `grid=4`, `radius=huber`."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.images.config import ImageConfig, ImageNetworkConfig, PriorConfig
from tokenizer.options import BOUNDS, read_value
from tokenizer.quantizer_config import CONFIGS, GritConfig, as_variant, variant_config

__all__ = [
    "IMAGE_BOUNDS",
    "IMAGE_OPTIONS",
    "check_images",
    "image_options_for",
    "with_image_options",
]

_USUAL = ImageConfig()
# For each option: the part of the configuration that has this field, and the default.
IMAGE_OPTIONS: dict[str, tuple[str, Any]] = {
    **{
        field.name: ("", getattr(_USUAL, field.name))
        for field in fields(ImageConfig)
        if field.name not in {"quantizer", "network", "prior"}
    },
    **{
        field.name: ("quantizer", getattr(variant_config(name), field.name))
        for name, kind in CONFIGS.items()
        for field in fields(kind)
        if field.name != "name"
    },
    **{f.name: ("network", getattr(_USUAL.network, f.name)) for f in fields(ImageNetworkConfig)},
    **{f.name: ("prior", getattr(_USUAL.prior, f.name)) for f in fields(PriorConfig)},
    "quantizer": ("quantizer", _USUAL.quantizer.name),
    "levels": ("quantizer", _USUAL.quantizer.levels),
    "codebook_size": ("quantizer", _USUAL.quantizer.codebook_size),
}
_LARGE = 10**9
# The smallest and the largest value of each numeric field.
IMAGE_BOUNDS: dict[str, tuple[float, float]] = {
    **BOUNDS,
    "grid": (1, 1024),
    "channels": (8, 4096),
    "blocks": (1, 64),
    "levels": (1, 4),
    "perceptual": (0, _LARGE),
    "average": (0, 0.99999),
    "measurements": (1, 1000),
    "prior_steps": (0, _LARGE),
    "prior_batch": (1, _LARGE),
    "prior_layers": (1, 96),
    "prior_heads": (1, 64),
    "prior_width": (8, 16_384),
    "prior_learning_rate": (1e-30, 1e30),
    "samples": (2, 1_000_000),
    "temperature": (1e-3, 1e3),
    "sample_top_k": (0, 65_536),
    "sample_top_p": (1e-6, 1),
}


def _options_of(quantizer: str) -> set[str]:
    own = {field.name for field in fields(CONFIGS[quantizer])}
    return {name for name, (part, _) in IMAGE_OPTIONS.items() if part != "quantizer" or name in own}


def image_options_for(quantizer: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that the variant `quantizer` has, without those of other variants.

    Raises:
        InputError: no variant has an option of that name.
    """
    check_name("quantizer", quantizer, CONFIGS)
    for name in options:
        check_name("option", name, IMAGE_OPTIONS)
    own = _options_of(quantizer) | {"quantizer"}
    return {name: value for name, value in options.items() if name in own}


def with_image_options(config: ImageConfig, options: Mapping[str, object]) -> ImageConfig:
    """Return a configuration with some fields changed, and sizes of GRIT fitted to the codebook.

    Args:
        options: values by field name; a text is read as the field's type.

    Raises:
        InputError: a name is unknown or the variant does not have it, or the field cannot have the
            value.
    """
    variant = str(options.get("quantizer", config.quantizer.name))
    check_name("quantizer", variant, CONFIGS)
    changes: dict[str, dict[str, Any]] = {"": {}, "quantizer": {}, "network": {}, "prior": {}}
    known = _options_of(variant) | {"quantizer"}
    for name, value in options.items():
        check_name(f"option of {variant}", name, known)
        if name == "quantizer":
            continue
        part, default = IMAGE_OPTIONS[name]
        changes[part][name] = read_value(name, value, default)
    changed = replace(
        config,
        quantizer=as_variant(config.quantizer, variant, changes["quantizer"]),
        network=replace(config.network, **changes["network"]),
        prior=replace(config.prior, **changes["prior"]),
        **changes[""],
    )
    quantizer, usual = changed.quantizer, GritConfig()
    if isinstance(quantizer, GritConfig):
        sizes = {
            name: min(getattr(usual, name), quantizer.codebook_size)
            for name in ("rank", "top_k")
            if getattr(quantizer, name) == getattr(usual, name)
        }
        changed = replace(changed, quantizer=replace(quantizer, **sizes))
    return changed


def check_images(config: ImageConfig) -> None:
    """Check that an image tokenizer can be built and trained as configured.

    Raises:
        InputError: a value is out of bounds, or two do not fit together.
    """
    from tokenizer.quantizers import check_config

    parts: dict[str, object] = {"": config, "quantizer": config.quantizer}
    parts |= {"network": config.network, "prior": config.prior}
    for name, (least, most) in IMAGE_BOUNDS.items():
        owner = parts.get(IMAGE_OPTIONS[name][0]) if name in IMAGE_OPTIONS else None
        value = getattr(owner, name, None)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not least <= number <= most:
                raise InputError(f"{name} {number:g} is outside {least:g}…{most:g}")
    check_config(config.quantizer)
    prior = config.prior
    if prior.prior_width % prior.prior_heads:
        raise InputError(
            f"prior_width {prior.prior_width} does not divide into {prior.prior_heads} heads; "
            f"choose a multiple of prior_heads"
        )
