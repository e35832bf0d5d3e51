import math
from dataclasses import replace
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import variant_config
from tokenizer.quantizers import QUANTIZERS, check_config
from tokenizer.quantizers.fixed.opq import learn_rotation
from tokenizer.training import faiss_baseline
from tokenizer.training.faiss_baseline import faiss_residual_baseline

FROZEN = ("lsh", "opq", "pq", "rq_faiss")
BY_DISTANCE = sorted(name for name, variant in QUANTIZERS.items() if variant.by_distance)


def _latents(count: int = 600) -> torch.Tensor:
    """Draw vectors of 8 correlated dimensions, away from 0."""
    generator = torch.Generator().manual_seed(3)
    mixed = torch.randn(8, 8, generator=generator) * torch.logspace(1, -1, 8)[:, None]
    return torch.randn(count, 8, generator=generator) @ mixed + 2


def _stack(name: str, z: torch.Tensor, **changes: object) -> ResidualQuantizer:
    config = variant_config(name, **{"levels": 4, "codebook_size": 16, **changes})
    levels = [QUANTIZERS[name](config, z.shape[1]) for _ in range(config.levels)]
    stack = ResidualQuantizer(levels).eval()
    stack.start_from(z, torch.Generator().manual_seed(0))
    return stack


def _lost(stack: ResidualQuantizer, z: torch.Tensor) -> float:
    lost = (z - stack.decode(stack.encode(z))).square().sum()
    return float(lost / (z - z.mean(0)).square().sum())


def _as_near(z: torch.Tensor, *decoded: torch.Tensor) -> None:
    """See that both searches come as near to z, to what float32 tells of ‖z‖² + ‖c‖² − 2 z·c."""
    ours, theirs = ((z - found).square().sum(1) for found in decoded)
    slack = 8 * torch.finfo(z.dtype).eps * z.square().sum(1)
    assert ((ours - theirs).abs() <= slack).all()


@pytest.mark.parametrize("name", FROZEN)
def test_codebooks_stay_and_gradients_pass_them(name: str) -> None:
    z = _latents().requires_grad_()
    stack = _stack(name, z.detach(), commitment=0.0)
    before = {key: value.clone() for key, value in stack.state_dict().items()}
    assert not list(stack.parameters())
    weights = torch.randn(600, 8)
    output = stack.train()(z)
    (output.quantized * weights).sum().backward()
    assert z.grad is not None
    assert torch.allclose(z.grad, weights, atol=1e-5)
    assert torch.allclose(output.quantized, stack.decode(output.codes), atol=1e-3)
    assert all(torch.equal(before[key], value) for key, value in stack.state_dict().items())


@pytest.mark.parametrize("name", BY_DISTANCE)
@pytest.mark.parametrize(("count", "times"), [(1, 1), (3, 1), (15, 1), (16, 1), (5, 40)])
@pytest.mark.parametrize("beam", [1, 5])
def test_no_more_latents_than_codewords_are_coded_exactly(
    name: str, count: int, times: int, beam: int
) -> None:
    """They are the first codebook, and no k-means has a say; one may be there several times."""
    z = _latents(count).repeat(times, 1)
    stack = _stack(name, z, search_beam=beam)
    lost = (z - stack.decode(stack.encode(z))).square().sum()
    assert lost <= torch.finfo(z.dtype).eps * z.square().sum()


@pytest.mark.parametrize("count", [1, 3, 15])
def test_hashes_of_few_latents_lose_no_more_than_their_mean(count: int) -> None:
    z = _latents(count)
    stack = _stack("lsh", z)
    lost = (z - stack.decode(stack.encode(z))).square().sum()
    slack = torch.finfo(z.dtype).eps * z.square().sum()
    assert lost <= (z - z.mean(0)).square().sum() * (1 + 1e-4) + slack


@pytest.mark.parametrize("name", FROZEN)
def test_one_seed_gives_one_stack(name: str) -> None:
    first, second = (_stack(name, _latents()).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_product_codes_are_those_of_faiss() -> None:
    z = _latents()
    stack = _stack("pq", z)
    books = stack.codebooks()
    sliced = torch.stack([books[level, :, 2 * level : 2 * level + 2] for level in range(4)])
    assert sliced.count_nonzero() == books.count_nonzero()
    reference: Any = faiss.ProductQuantizer(8, 4, 4)  # its stub does not know its methods
    faiss.copy_array_to_vector(sliced.numpy().ravel(), reference.centroids)
    packed = reference.compute_codes(z.numpy())
    expected = np.stack(
        [packed[:, 0] & 15, packed[:, 0] >> 4, packed[:, 1] & 15, packed[:, 1] >> 4]
    )
    theirs = stack.decode(torch.from_numpy(expected.T.astype(np.int64)))
    assert np.allclose(theirs.numpy(), reference.decode(packed), atol=1e-5)
    _as_near(z, stack.decode(stack.encode(z)), theirs)


def test_a_beam_finds_nothing_better_in_orthogonal_subspaces() -> None:
    z = _latents()
    for name in ("pq", "opq"):
        greedy, beam = _stack(name, z), _stack(name, z, search_beam=4)
        _as_near(z, *(stack.decode(stack.encode(z)) for stack in (greedy, beam)))


@pytest.mark.parametrize(("levels", "size"), [(3, 16), (5, 10), (8, 7)])
def test_products_take_any_split_and_any_size(levels: int, size: int) -> None:
    z = _latents()
    for name in ("pq", "opq"):
        stack = _stack(name, z, levels=levels, codebook_size=size)
        assert _lost(stack, z) < 0.5
        gram = torch.einsum("lkd,mjd->lmkj", stack.codebooks(), stack.codebooks())
        apart = ~torch.eye(levels, dtype=torch.bool)
        assert gram[apart].abs().max() < 1e-3 * gram.abs().max()


def test_more_levels_than_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="9 levels need as many dimensions, the latent has 8"):
        _stack("pq", _latents(), levels=9)


def test_the_rotation_is_orthogonal_and_no_worse_than_none_or_faiss() -> None:
    z = _latents()
    slices = torch.arange(8).tensor_split(4)
    rotation = learn_rotation(z, slices, 16, torch.Generator().manual_seed(0))
    assert torch.allclose(rotation @ rotation.T, torch.eye(8), atol=1e-5)
    opq = _lost(_stack("opq", z), z)
    assert opq < 0.9 * _lost(_stack("pq", z), z)
    quantizer: Any = faiss.ProductQuantizer(8, 4, 4)
    matrix = faiss.OPQMatrix(8, 4)
    matrix.pq = quantizer
    matrix.train(z.numpy())
    turned = matrix.apply(z.numpy())
    quantizer.train(turned)
    gap = quantizer.decode(quantizer.compute_codes(turned)) - turned
    assert opq < 1.2 * float((gap**2).sum()) / float((z - z.mean(0)).square().sum())


def test_hashes_decode_better_than_the_mean_and_better_with_more_bits() -> None:
    z = _latents()
    lost = [_lost(_stack("lsh", z, levels=levels), z) for levels in (1, 2, 4)]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] < 0.8


def test_hash_codes_do_not_depend_on_length_from_the_mean() -> None:
    z = _latents()
    stack = _stack("lsh", z)
    far = z.mean(0) + 3 * (z - z.mean(0))
    assert (stack.encode(far) == stack.encode(z)).float().mean() > 0.999


def test_faiss_codes_come_out_greedy_and_with_a_beam() -> None:
    z = _latents()
    for beam in (1, 5):
        stack = _stack("rq_faiss", z, search_beam=beam)
        reference = faiss.ResidualQuantizer(8, 4, 4)
        reference.max_beam_size = beam
        faiss.copy_array_to_vector(stack.codebooks().numpy().ravel(), reference.codebooks)
        reference.is_trained = True
        decoded = reference.decode(reference.compute_codes(z.numpy()))
        ours = stack.decode(stack.encode(z)).numpy()
        assert (np.abs(ours - decoded).max(1) < 1e-4).mean() > 0.99


@pytest.mark.parametrize("count", [2, 30])
def test_faiss_takes_fewer_vectors_than_dimensions(count: int) -> None:
    """It refuses them as they are; how little it then loses is its own affair."""
    z = torch.randn(count, 200, generator=torch.Generator().manual_seed(0))
    assert math.isfinite(_lost(_stack("rq_faiss", z, levels=2, codebook_size=2), z))
    vectors = z.numpy()
    assert math.isfinite(faiss_residual_baseline(vectors, vectors, 2, 1).train_error)


def test_joint_training_gains_by_the_beam() -> None:
    z = _latents()
    assert _lost(_stack("rq_faiss", z, search_beam=5), z) < 1.2 * _lost(
        _stack("kmeans", z, search_beam=5), z
    )


@pytest.mark.parametrize("name", ["lfq", "lsh", "rq_faiss"])
def test_whole_bits_need_a_power_of_two(name: str) -> None:
    check_config(variant_config(name, codebook_size=16))
    with pytest.raises(InputError, match=r"codebook_size 100: .* choose 64 or 128"):
        check_config(variant_config(name, codebook_size=100))


def test_faiss_trains_on_rows_from_the_whole_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows of a sorted catalogue are of one kind; what is drawn is of all."""
    monkeypatch.setattr(faiss_baseline, "MOST_TRAINING_ROWS", 300)
    z = _latents(3000).numpy()
    z = z[np.argsort(z[:, 0])]
    found = faiss_residual_baseline(z, z, 2, 4)
    assert found == replace(faiss_residual_baseline(z, z, 2, 4), seconds=found.seconds)
    monkeypatch.setattr(faiss_baseline, "MOST_TRAINING_ROWS", 3000)
    assert found.train_error < 1.3 * faiss_residual_baseline(z, z, 2, 4).train_error
