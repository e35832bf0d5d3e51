"""Residual k-means (RQ-KMeans): centres that stay, the plainest codebook."""

from tokenizer.quantizers.fixed.codebook import FrozenCodebook

__all__ = ["KMeansQuantizer"]


class KMeansQuantizer(FrozenCodebook):
    """Residual k-means: a level's codewords are the centres of the previous levels' residuals."""
