"""Blocks: a row's result is that of the largest, whatever is beside it."""

from functools import reduce

import pytest
import torch
from torch import Tensor, nn

from tokenizer.autoencoder import BLOCKS, CODING_BLOCKS, NOISE, Autoencoder
from tokenizer.blocks import alike, blockwise
from tokenizer.config import AutoencoderConfig, QuantizerConfig

SIZES = (64, 32, 8)


@pytest.mark.parametrize(
    ("rows", "blocks"),
    [
        (0, [8]),
        (1, [8]),
        (8, [8]),
        (9, [32]),
        (33, [64]),
        (64, [64]),
        (72, [64, 8]),
        (140, [64, 64, 32]),
    ],
)
def test_what_is_left_has_the_smallest_block_that_holds_it(rows: int, blocks: list[int]) -> None:
    seen: list[int] = []

    def doubled(block: Tensor) -> Tensor:
        seen.append(len(block))
        return 2 * block

    given = torch.arange(3.0 * rows).view(rows, 3)
    assert torch.equal(blockwise(doubled, given, SIZES), 2 * given)
    assert seen == blocks


def test_a_size_that_gives_other_bits_is_left_out() -> None:
    noise = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))

    def summed(block: Tensor) -> Tensor:
        """Sum the terms of a row, in the other order where the block is of 32 rows."""
        terms = block.unbind(1)
        return reduce(torch.add, terms[::-1] if len(block) == 32 else terms)

    assert alike(summed, noise, SIZES) == (64, 8)
    assert alike(lambda block: block * 2, noise, SIZES) == SIZES
    assert alike(lambda block: block + len(block), noise, SIZES) == (64,)


@pytest.mark.parametrize("name", ["grit", "fsq", "lsh"])
def test_vectors_are_coded_alike_in_any_number(name: str) -> None:
    """Noise far from what sizes are compared on: every number of rows gives the same bits."""
    torch.manual_seed(1)
    model = Autoencoder(96, AutoencoderConfig(), QuantizerConfig(name, codebook_size=256)).eval()
    vectors = torch.randn(NOISE + 70, 96) * 3 + 1
    latents = model.latents(vectors)
    codes = model.encode_latents(latents)
    decoded = model.decode(codes)
    for rows in (1, 2, 7, 8, 9, 17, 33, 63, 64, 65, 100, 127, 129, 511, 513):
        assert torch.equal(model.latents(vectors[:rows]), latents[:rows])
        assert torch.equal(model.encode_latents(latents[:rows]), codes[:rows])
        assert torch.equal(model.decode(codes[:rows]), decoded[:rows])


def test_a_network_whose_rows_change_with_the_block_is_given_one_size() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + len(x) * 1e-3

    model = Autoencoder(16, AutoencoderConfig(network="identity"), QuantizerConfig("fsq")).eval()
    model.network.encoder = Counts()
    vectors = torch.randn(200, 16)
    assert torch.equal(model.latents(vectors[:3]), model.latents(vectors)[:3])
    assert model._sizes().latents == BLOCKS[:1]
    assert model._sizes().codes == CODING_BLOCKS[:1]  # of no product
