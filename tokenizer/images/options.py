"""Set any field of an image tokenizer's configuration by its name: `grid=4`, `radius=huber`."""

from collections.abc import Mapping
from dataclasses import replace

from data_prep.errors import InputError
from tokenizer.images.config import ImageConfig
from tokenizer.option_table import OptionTable
from tokenizer.options import BOUNDS
from tokenizer.quantizer_config import sized

__all__ = [
    "IMAGE_BOUNDS",
    "IMAGE_OPTIONS",
    "check_images",
    "image_options_for",
    "with_image_options",
]

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


_TABLE = OptionTable(ImageConfig(), IMAGE_BOUNDS)
# For each option: the part of the configuration that has this field, and the default.
IMAGE_OPTIONS = _TABLE.options


def image_options_for(quantizer: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that the variant `quantizer` has, without those of other variants.

    Raises:
        InputError: no variant has an option of that name.
    """
    return _TABLE.of_these(quantizer, options)


def with_image_options(config: ImageConfig, options: Mapping[str, object]) -> ImageConfig:
    """Return a configuration with some fields changed, and sizes of GRIT fitted to the codebook.

    Args:
        options: values by field name; a text is read as the field's type.

    Raises:
        InputError: a name is unknown or the variant does not have it, or the field cannot have the
            value.
    """
    changed = _TABLE.changed(config, options)
    return replace(changed, quantizer=sized(changed.quantizer))


def check_images(config: ImageConfig) -> None:
    """Check that an image tokenizer can be built and trained as configured.

    Raises:
        InputError: a value is out of bounds, or two do not fit together.
    """
    from tokenizer.quantizers import check_config

    _TABLE.check_bounds(config)
    check_config(config.quantizer)
    prior = config.prior
    if prior.prior_width % prior.prior_heads:
        raise InputError(
            f"prior_width {prior.prior_width} does not divide into {prior.prior_heads} heads; "
            f"choose a multiple of prior_heads"
        )
