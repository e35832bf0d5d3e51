"""What a search benchmark compares: rankings without training, models, and fusions of two."""

from collections.abc import Mapping

from data_prep.errors import InputError
from recsys.search.presets import MODELS

__all__ = ["BASELINES", "FUSIONS", "quantized"]

# Without training. `bm25` needs the items' texts.
BASELINES = ("query-popularity", "bm25", "content")
# Two rankings by reciprocal rank.
FUSIONS: Mapping[str, tuple[str, str]] = {
    "bm25+content": ("bm25", "content"),
    "bm25+dual-encoder": ("bm25", "dual-encoder"),
}


def quantized(model: str) -> bool:
    """Return whether a model reads semantic IDs, so that it is measured once for each quantizer.

    Raises:
        InputError: there is no model of this name.
    """
    if model in FUSIONS:
        return any(map(quantized, FUSIONS[model]))
    if model in BASELINES:
        return False
    if model not in MODELS:
        raise InputError(
            f"unknown model {model!r}; known are {', '.join((*MODELS, *BASELINES, *FUSIONS))}"
        )
    return "codes" in MODELS[model].parts
