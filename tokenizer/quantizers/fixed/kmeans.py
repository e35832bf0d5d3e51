"""Residual k-means (RQ-KMeans): centres that stay, the plainest codebook."""

from tokenizer.quantizers.fixed.codebook import FrozenCodebook

__all__ = ["KMeansQuantizer"]


class KMeansQuantizer(FrozenCodebook):
    """Residual k-means: each level keeps the centres of what the levels before it left."""
