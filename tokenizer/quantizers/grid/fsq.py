"""Finite scalar quantization (arXiv 2309.15505): each channel bounded and rounded."""

from collections.abc import Iterator

from torch import Tensor

from tokenizer.quantizer_config import FsqConfig
from tokenizer.quantizers.grid.codebook import GridQuantizer

__all__ = ["FsqQuantizer", "fsq_levels"]

FEWEST = 5  # fewest values of a channel, as the paper advises
LEAST_FACTOR = 4


class FsqQuantizer(GridQuantizer):
    """tanh bounds a channel, and rounding chooses one of its evenly spaced values; no extra loss.

    Values are symmetric about 0; for even numbers of values the paper shifts them by half a step.
    """

    SPREAD = 0.85  # here the tanh of a Gaussian is nearly uniform

    def __init__(self, config: FsqConfig, dimension: int) -> None:
        super().__init__(config, dimension, config.fsq_levels or fsq_levels(config.codebook_size))

    def digits(self, channels: Tensor) -> Tensor:
        most = channels.new_tensor(self.steps) - 1
        return ((channels.tanh().nan_to_num() + 1) / 2 * most).round().long()


def fsq_levels(codebook_size: int) -> tuple[int, ...]:
    """Return channel sizes whose product is the codebook size, the largest first.

    There are as many channels as can have five values each in the geometric mean. Sizes are as
    equal as possible, and none is below 4: 256 gives (8, 8, 4), 240 gives (8, 6, 5), and a prime
    number gives one channel.
    """
    channels = 1
    while FEWEST ** (channels + 1) <= codebook_size:
        channels += 1
    for count in range(channels, 1, -1):
        found = list(_factors(codebook_size, count, codebook_size))
        if found:
            return min(found, key=sum)
    return (codebook_size,)


def _factors(product: int, count: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield all falling `count` factors of `product`, each from `LEAST_FACTOR` to `most`."""
    if count == 1:
        if LEAST_FACTOR <= product <= most:
            yield (product,)
        return
    for first in range(min(most, product), LEAST_FACTOR - 1, -1):
        if product % first == 0:
            for rest in _factors(product // first, count - 1, first):
                yield (first, *rest)
