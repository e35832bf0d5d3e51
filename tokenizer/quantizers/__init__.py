"""Vector quantizers by name."""

from collections.abc import Iterable
from difflib import get_close_matches

from data_prep.errors import InputError
from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base import Quantizer, QuantizerOutput
from tokenizer.quantizers.ema import EmaQuantizer
from tokenizer.quantizers.fixed import KMeansQuantizer
from tokenizer.quantizers.grit import GritQuantizer
from tokenizer.quantizers.gumbel import GumbelQuantizer
from tokenizer.quantizers.noise import DiVeq, Nsvq
from tokenizer.quantizers.rotation import RotationQuantizer
from tokenizer.quantizers.simvq import SimVq
from tokenizer.quantizers.ste import SteQuantizer
from tokenizer.quantizers.wasserstein import WassersteinQuantizer
from tokenizer.radius import RADII

__all__ = ["QUANTIZERS", "GritQuantizer", "Quantizer", "QuantizerOutput", "check_config"]

QUANTIZERS: dict[str, type[Quantizer]] = {
    "diveq": DiVeq,
    "ema": EmaQuantizer,
    "grit": GritQuantizer,
    "gumbel": GumbelQuantizer,
    "kmeans": KMeansQuantizer,
    "nsvq": Nsvq,
    "rotation": RotationQuantizer,
    "rqvae": SteQuantizer,
    "simvq": SimVq,
    "ste": SteQuantizer,
    "wasserstein": WassersteinQuantizer,
}


def check_config(config: QuantizerConfig) -> None:
    """See that a residual stack can be built as configured.

    Raises:
        InputError: an unknown name, or sizes that do not go together.
    """
    _check_name("quantizer", config.name, QUANTIZERS)
    _check_name("radius", config.radius, RADII)
    if not 0 <= config.psi_max < 2:
        raise InputError(
            f"psi_max {config.psi_max} is outside 0 ≤ psi_max < 2, where gradients keep their sign"
        )
    if config.rank > config.codebook_size:
        raise InputError(
            f"rank {config.rank} is above the codebook size {config.codebook_size}; "
            f"use a rank of at most that"
        )


def _check_name(what: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown {what} {name!r}; known are {', '.join(names)}{hint}")
