"""RQ-VAE (arXiv 2107.03312; TIGER, arXiv 2305.05065): a residual stack of VQ-VAE's levels."""

from tokenizer.quantizers.learnt.ste import SteQuantizer

__all__ = ["RqVae"]


class RqVae(SteQuantizer):
    """One level of RQ-VAE, the same as VQ-VAE's; `ResidualQuantizer` stacks them."""
