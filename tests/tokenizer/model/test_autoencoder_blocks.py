"""A tokenizer's network and search: the same latents, codes and vectors in any batch."""

from functools import reduce

import pytest
import torch
from torch import Tensor, nn

from tokenizer.config import AutoencoderConfig
from tokenizer.model.autoencoder import BLOCKS, NOISE, Autoencoder
from tokenizer.quantizer_config import variant_config
from tokenizer.quantizers.base import path_tables, search
from tokenizer.quantizers.base import quantizer as quantizer_module


def _started(name: str, width: int = 96, latent: int = 32, beam: int = 1) -> Autoencoder:
    """Return a network with codebooks that are started on noise."""
    quantizer = variant_config(name, codebook_size=256, search_beam=beam, crowded_choices=16)
    config = AutoencoderConfig(network="mlp", hidden=(65,), latent=latent, dropout=0.0)
    torch.manual_seed(1)
    model = Autoencoder(width, config, quantizer).eval()
    x = torch.randn(1024, width)
    model.start_from(x)
    model.quantizer.start_from(model.latents(x), torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("name", ["grit", "fsq", "lsh", "hypervq", "opq"])
@pytest.mark.parametrize(("width", "latent"), [(96, 32), (301, 8)])
def test_vectors_are_coded_alike_in_any_number_and_order(
    name: str, width: int, latent: int
) -> None:
    """Also where a product's rows begin at odd places in memory, which some libraries mind."""
    model = _started(name, width, latent)
    vectors = torch.randn(NOISE + 70, width)
    latents = model.latents(vectors)
    codes = model.encode_latents(latents)
    decoded = model.decode(codes)
    assert len(codes.unique(dim=0)) > 100
    for rows in (1, 2, 7, 8, 9, 17, 33, 63, 64, 65, 100, 127, 129, 511, 513):
        for part in (slice(rows), slice(-rows, None)):
            assert torch.equal(model.latents(vectors[part]), latents[part])
            assert torch.equal(model.encode_latents(latents[part]), codes[part])
            assert torch.equal(model.decode(codes[part]), decoded[part])


@pytest.mark.parametrize("tables", [True, False])
def test_a_beam_codes_alike_in_any_number_whether_items_are_told_apart_or_not(
    tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tables:
        monkeypatch.setattr(path_tables, "MOST_NUMBERS", 0)
        monkeypatch.setattr(search, "MOST_SCORES", 200 * 5 * 256)
    model = _started("grit", beam=5)
    assert model.quantizer.extends_paths is not tables
    vectors = torch.randn(NOISE + 70, 96)
    vectors[:40] = vectors[40:80] + 1e-4
    for marked in (False, True):
        if marked:
            before = model.encode(vectors)
            assert model.mark_crowded(vectors) >= 1
            assert not torch.equal(model.encode(vectors), before)
        latents = model.latents(vectors)
        codes = model.encode_latents(latents)
        for rows in (1, 2, 7, 9, 33, 64, 100, 129, 511, 513):
            for part in (slice(rows), slice(-rows, None)):
                assert torch.equal(model.encode_latents(latents[part]), codes[part])


def test_a_codebook_whose_products_change_with_the_block_has_its_own_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def otherwise(vectors: Tensor, codewords: Tensor, half_norms: Tensor) -> Tensor:
        """Sum small blocks in the other order."""
        order = -1 if len(vectors) <= 32 else 1
        terms = [z.unsqueeze(1) * c for z, c in zip(vectors.T, codewords.T, strict=True)]
        summed: Tensor = reduce(torch.add, terms[::order])
        return half_norms - summed

    monkeypatch.setattr(quantizer_module, "half_distances", otherwise)
    assert _started("ste")._blocks("codes").sizes == (512, 128)


def test_a_network_whose_rows_change_with_the_block_is_given_one_size() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + len(x) * 1e-3

    model = Autoencoder(16, AutoencoderConfig(network="identity"), variant_config("fsq")).eval()
    model.network.encoder = Counts()
    vectors = torch.randn(200, 16)
    assert torch.equal(model.latents(vectors[:3]), model.latents(vectors)[:3])
    assert model._blocks("latents").sizes == BLOCKS[:1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_another_precision_has_sizes_of_its_own(dtype: torch.dtype) -> None:
    model = _started("ste")
    model.latents(torch.randn(3, 96))
    model.to(dtype)
    vectors = torch.randn(100, 96, dtype=dtype)
    assert torch.equal(model.latents(vectors[:3]), model.latents(vectors)[:3])


def test_a_pass_whose_bits_change_with_threads_runs_on_one() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.get_num_threads() * 1e-3

    model = Autoencoder(16, AutoencoderConfig(network="identity"), variant_config("fsq")).eval()
    model.network.encoder = Counts()
    vectors = torch.randn(200, 16)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(model.latents(vectors))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
