"""The straight-through estimator of VQ-VAE (arXiv 1711.00937); its residual stack is RQ-VAE's."""

from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["SteQuantizer"]


class SteQuantizer(LearntCodebook):
    """The value is q, the gradient to z is the identity; C learns by its auxiliary losses only.

    In a stack q is the sum of the levels' codewords. z gets the output's gradient once, plus 2β
    (r_l − q_l) from each level's commitment loss.
    """
