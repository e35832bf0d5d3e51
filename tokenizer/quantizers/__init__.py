"""Vector quantizers by name."""

import math

from data_prep.errors import InputError
from data_prep.names import check_name
from tokenizer.quantizer_config import FsqConfig, GritConfig, QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer, QuantizerOutput
from tokenizer.quantizers.fixed.kmeans import KMeansQuantizer
from tokenizer.quantizers.fixed.lsh import LshQuantizer
from tokenizer.quantizers.fixed.opq import OptimizedProductQuantizer
from tokenizer.quantizers.fixed.pq import ProductQuantizer
from tokenizer.quantizers.fixed.rq_faiss import FaissResidualQuantizer
from tokenizer.quantizers.grid.fsq import FsqQuantizer
from tokenizer.quantizers.grid.lfq import LfqQuantizer
from tokenizer.quantizers.grit.codebook import PROTOCOLS
from tokenizer.quantizers.grit.level import GritQuantizer
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.grit.transform import TRANSFORMS
from tokenizer.quantizers.learnt.diveq import DiVeq
from tokenizer.quantizers.learnt.ema import EmaQuantizer
from tokenizer.quantizers.learnt.gumbel import GumbelQuantizer
from tokenizer.quantizers.learnt.hypervq import HyperVq
from tokenizer.quantizers.learnt.nsvq import Nsvq
from tokenizer.quantizers.learnt.rotation import RotationQuantizer
from tokenizer.quantizers.learnt.rqvae import RqVae
from tokenizer.quantizers.learnt.sf_diveq import SfDiVeq
from tokenizer.quantizers.learnt.simvq import SimVq
from tokenizer.quantizers.learnt.ste import SteQuantizer
from tokenizer.quantizers.learnt.wasserstein import WassersteinQuantizer

__all__ = ["QUANTIZERS", "GritQuantizer", "Quantizer", "QuantizerOutput", "check_config"]

QUANTIZERS: dict[str, type[Quantizer]] = {
    "diveq": DiVeq,
    "ema": EmaQuantizer,
    "fsq": FsqQuantizer,
    "grit": GritQuantizer,
    "gumbel": GumbelQuantizer,
    "hypervq": HyperVq,
    "kmeans": KMeansQuantizer,
    "lfq": LfqQuantizer,
    "lsh": LshQuantizer,
    "nsvq": Nsvq,
    "opq": OptimizedProductQuantizer,
    "pq": ProductQuantizer,
    "rotation": RotationQuantizer,
    "rq_faiss": FaissResidualQuantizer,
    "rqvae": RqVae,
    "sf_diveq": SfDiVeq,
    "simvq": SimVq,
    "ste": SteQuantizer,
    "wasserstein": WassersteinQuantizer,
}


def check_config(config: QuantizerConfig) -> None:
    """Check that a residual stack can be built as configured.

    Raises:
        InputError: a name is unknown, or two sizes do not fit together.
    """
    check_name("quantizer", config.name, QUANTIZERS)
    check_name("start", config.start, ("kmeans", "random"))
    size = config.codebook_size
    if QUANTIZERS[config.name].binary and size & (size - 1):
        below = 1 << (size.bit_length() - 1)
        raise InputError(
            f"codebook_size {size}: codes of {config.name} are whole bits; choose {below} or "
            f"{2 * below}, or another quantizer"
        )
    if isinstance(config, FsqConfig):
        _check_fsq(config)
    if isinstance(config, GritConfig):
        _check_grit(config)
    if config.search_beam < 1:
        raise InputError(f"search_beam {config.search_beam} is below 1, the greedy search")
    if config.search_beam > 1 and not QUANTIZERS[config.name].by_distance:
        raise InputError(
            f"search_beam {config.search_beam}: {config.name} does not choose codes by distance to "
            f"what earlier levels left; use search_beam 1"
        )


def _check_fsq(config: FsqConfig) -> None:
    levels = config.fsq_levels
    if levels and (min(levels) < 2 or math.prod(levels) != config.codebook_size):
        raise InputError(
            f"fsq_levels {levels} make {math.prod(levels)} codewords, not the codebook size "
            f"{config.codebook_size}; choose numbers from 2 on with that product, or none"
        )


def _check_grit(config: GritConfig) -> None:
    check_name("radius", config.radius, RADII)
    check_name("transform", config.transform, TRANSFORMS)
    check_name("protocol", config.protocol, PROTOCOLS)
    check_name("feed", config.feed, ("hard", "surrogate"))
    if not 0 <= config.psi_max < 2:
        raise InputError(
            f"psi_max {config.psi_max} is outside 0 ≤ psi_max < 2, where gradients keep their sign"
        )
    for name in ("rank", "top_k"):
        size = getattr(config, name)
        if not 1 <= size <= config.codebook_size:
            raise InputError(
                f"{name} {size} is outside 1…{config.codebook_size}, the codebook size; "
                f"choose a {name} in that range"
            )
    if config.levels > 1 and not config.gain and (config.row_norm or config.codeword_norm):
        raise InputError(
            "rows of one length (row_norm or codeword_norm) without gain cannot follow residuals, "
            "which shrink from level 2 on; keep the gain, or turn the norms off"
        )
    if config.refresh_every < 1:
        raise InputError(f"refresh_every {config.refresh_every} is below 1, anew at every step")
