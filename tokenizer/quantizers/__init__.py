"""Vector quantizers by name."""

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base import Quantizer, QuantizerOutput
from tokenizer.quantizers.grit import GritQuantizer

__all__ = ["QUANTIZERS", "GritQuantizer", "Quantizer", "QuantizerConfig", "QuantizerOutput"]

QUANTIZERS: dict[str, type[GritQuantizer]] = {"grit": GritQuantizer}
