"""The straight-through estimator of VQ-VAE (arXiv 1711.00937); its residual stack is RQ-VAE's."""

from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["SteQuantizer"]


class SteQuantizer(LearntCodebook):
    """q in value, the identity in z's gradient; C learns by its auxiliary loss alone."""
