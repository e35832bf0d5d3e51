"""The straight-through estimator of VQ-VAE (arXiv 1711.00937); its residual stack is RQ-VAE's."""

from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["SteQuantizer"]


class SteQuantizer(LearntCodebook):
    """q in value, the identity in z's gradient; C learns by its auxiliary losses alone.

    In a stack q is the sum of the levels' codewords, and z's gradient is that of the output once,
    with 2β (r_l − q_l) of each level's commitment.
    """
