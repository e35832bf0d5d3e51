"""Lookup-free quantization (arXiv 2310.05737): a code is the signs of log₂ K channels."""

import math

from torch import Tensor

from tokenizer.quantizer_config import LfqConfig
from tokenizer.quantizers.base.quantizer import mean_square
from tokenizer.quantizers.grid.codebook import GridQuantizer

__all__ = ["LfqQuantizer", "entropies"]


class LfqQuantizer(GridQuantizer):
    """Adds w · (H of a latent's codes − H of the batch's): each code is sure, all are used evenly.

    The commitment loss pulls channels to their signs; it is measured in channels, not in latents.
    **Choice**: signs have tanh's gradient. With the paper's, the identity, stacks of four levels
    diverged on Gaussian mixtures at every weight.
    """

    config: LfqConfig
    binary = True

    def __init__(self, config: LfqConfig, dimension: int) -> None:
        super().__init__(config, dimension, [2] * (config.codebook_size - 1).bit_length())

    def digits(self, channels: Tensor) -> Tensor:
        return (channels > 0).long()

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        channels = self.channels(z)
        commitment = self.config.commitment * mean_square(channels - self.grid[codes])
        sample, batch = entropies(channels, self.grid)
        return commitment + self.config.entropy_weight * (sample - batch)


def entropies(channels: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean entropy of a latent's codes and the entropy of the batch's mean, in nats.

    A code's probability is proportional to exp(−‖channels − point‖²).

    Args:
        channels: (n, m).
        grid: (K, m), points of equal length.
    """
    log_shares = (2 * channels @ grid.T).log_softmax(1)
    log_mean = log_shares.logsumexp(0) - math.log(max(len(channels), 1))
    sample = -(log_shares.exp() * log_shares).sum(1).mean()
    batch = -(log_mean.exp() * log_mean).sum()
    return sample, batch
