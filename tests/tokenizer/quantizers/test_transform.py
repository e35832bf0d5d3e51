from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pdist

from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers.grit.transform import (
    MOST_MIXED,
    TRANSFORMS,
    AttentionTransform,
    LinearTransform,
    LowRankAttention,
    Transform,
    WeightedTransform,
)

CONFIG = GritConfig(codebook_size=12, rank=3, top_k=4, spectral_clip=2.0)
NAMES = sorted(TRANSFORMS)
LEARNT = sorted(set(NAMES) - {"none"})


def _codebook() -> Tensor:
    return torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def _transform(name: str = "linear", moved: bool = False) -> Transform:
    """Return a transform as it starts, or away from its start."""
    torch.manual_seed(0)
    transform = TRANSFORMS[name](CONFIG, 5).double()
    if moved:
        with torch.no_grad():
            for parameter in transform.parameters():
                parameter.add_(torch.randn_like(parameter) / 4)
    return transform


def _linear(moved: bool = False) -> LinearTransform:
    transform = _transform("linear", moved)
    assert isinstance(transform, LinearTransform)
    return transform


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_near_the_identity(name: str) -> None:
    codebook = _codebook()
    moved = (_transform(name)(codebook) - codebook).norm() / codebook.norm()
    assert moved == 0 if name in {"linear", "none"} else 0 < moved < 0.1


def test_gradients_are_those_of_the_closed_form_and_every_row_moves() -> None:
    """∂L/∂W = (MC)ᵀS, ∂L/∂U = S Wᵀ Cᵀ V, ∂L/∂V = C W Sᵀ U; then all rows move, unhit ones too."""
    transform, codebook = _linear(moved=True), _codebook()
    u, v, w = transform.u.detach(), transform.v.detach(), transform.w.detach()
    hit = torch.tensor([1, 1, 4])
    weights = torch.randn(3, 5, dtype=torch.float64)
    (transform.rows(codebook, hit) * weights).sum().backward()
    s = torch.zeros(12, 5, dtype=torch.float64).index_add_(0, hit, weights)
    mixed = codebook + u @ (v.T @ codebook)
    assert torch.allclose(gradient(transform.w), mixed.T @ s)
    assert torch.allclose(gradient(transform.u), s @ w.T @ codebook.T @ v)
    assert torch.allclose(gradient(transform.v), codebook @ w @ s.T @ u)


@pytest.mark.parametrize("name", LEARNT)
def test_a_step_by_two_codewords_moves_every_row(name: str) -> None:
    transform, codebook = _transform(name, moved=True), _codebook()
    before = transform(codebook).detach()
    transform.rows(codebook, torch.tensor([1, 4])).square().sum().backward()
    with torch.no_grad():
        for parameter in transform.parameters():
            assert gradient(parameter).abs().sum() > 0
            parameter.sub_(0.1 * gradient(parameter))
    assert ((transform(codebook) - before).norm(dim=1) > 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
def test_rows_equal_the_rows_of_the_whole(name: str) -> None:
    transform, codebook = _transform(name, moved=True), _codebook()
    codes = torch.tensor([3, 3, 0])
    assert torch.allclose(transform.rows(codebook, codes), transform(codebook)[codes])


def test_pairwise_distances_stay_within_the_bounds_of_the_singular_values() -> None:
    """c̃ᵢ − c̃ⱼ = (mᵢ − mⱼ) C W, so σ of W and of C bound it; W alone where M is the identity."""
    transform, codebook = _linear(moved=True), _codebook()
    sigma = torch.linalg.svdvals(transform.w.detach())
    with torch.no_grad():
        mixed = codebook + transform.u @ (transform.v.T @ codebook)
        after = pdist(transform(codebook))
    assert (pdist(mixed) * sigma[-1] <= after + 1e-12).all()
    assert (after <= pdist(mixed) * sigma[0] + 1e-12).all()
    mixing = torch.linalg.svdvals((torch.eye(12) + transform.u @ transform.v.T).detach())
    spread = torch.linalg.svdvals(codebook)
    rows = pdist(torch.eye(12, dtype=torch.float64))  # ‖eᵢ − eⱼ‖ = √2
    assert (after <= rows * mixing[0] * spread[0] * sigma[0] + 1e-12).all()
    whole = transform(codebook).norm()
    assert mixing[-1] * sigma[-1] * codebook.norm() <= whole + 1e-12
    assert whole <= mixing[0] * sigma[0] * codebook.norm() + 1e-12


@pytest.mark.parametrize("name", ["attention", "attention_low_rank", "attention_top_k"])
def test_attention_is_row_stochastic(name: str) -> None:
    """A of the codebook's ones is ones: with W = I every row of C̃ is a mean of codewords."""
    transform = _transform(name, moved=True)
    assert isinstance(transform, WeightedTransform)
    with torch.no_grad():
        transform.w.copy_(torch.eye(5))
        shifted = transform(_codebook() * 0 + 3.0)
    assert torch.allclose(shifted, torch.full_like(shifted, 3.0))


def test_top_k_of_all_is_dense_attention() -> None:
    dense = _transform("attention", moved=True)
    sparse = TRANSFORMS["attention_top_k"](replace(CONFIG, top_k=12), 5).double()
    sparse.load_state_dict(dense.state_dict())
    assert torch.allclose(sparse(_codebook()), dense(_codebook()))


def test_low_rank_attention_equals_the_matrix_it_never_forms() -> None:
    transform, codebook = _transform("attention_low_rank", moved=True), _codebook()
    assert isinstance(transform, LowRankAttention)
    asked, offered = (codebook @ transform.query).softmax(1), (codebook @ transform.key).softmax(0)
    matrix = asked @ offered.T
    assert torch.allclose(matrix.sum(1), torch.ones(12, dtype=torch.float64))
    mix = torch.sigmoid(transform.raw_mix)
    expected = ((1 - mix) * codebook + mix * matrix @ codebook) @ transform.w
    assert torch.allclose(transform(codebook), expected)


def test_dense_attention_equals_torchs_own() -> None:
    transform, codebook = _transform("attention", moved=True), _codebook()
    assert isinstance(transform, AttentionTransform)
    peer = torch.nn.functional.scaled_dot_product_attention(
        (codebook @ transform.query)[None], (codebook @ transform.key)[None], codebook[None]
    )[0]
    assert torch.allclose(transform.attended(codebook, codebook), peer)


@pytest.mark.parametrize("name", LEARNT)
def test_the_clip_bounds_the_largest_singular_value_and_leaves_small_ones(name: str) -> None:
    transform = _transform(name, moved=True)
    assert isinstance(transform, WeightedTransform)
    with torch.no_grad():
        transform.w.mul_(9)
    clipped = [transform.clip_() for _ in range(20)]
    assert any(clipped)
    assert not clipped[-1]
    assert torch.linalg.svdvals(transform.w)[0] <= 2.0 + 1e-9
    assert transform.largest_singular_value() <= 2.0 + 1e-9
    with torch.no_grad():
        transform.w.copy_(torch.eye(5))
    assert not transform.clip_()
    assert torch.equal(transform.w, torch.eye(5, dtype=torch.float64))


def test_mixing_is_bounded_so_that_no_direction_is_lost() -> None:
    """U = −V takes σ_min(I + U Vᵀ) to 0; the bound on ‖U Vᵀ‖ holds it."""
    transform = _transform("linear", moved=True)
    assert isinstance(transform, LinearTransform)
    with torch.no_grad():
        transform.v.copy_(torch.linalg.qr(torch.randn(12, 3, dtype=torch.float64)).Q)
        transform.u.copy_(-transform.v)
    assert transform.smallest_singular_value() == pytest.approx(0, abs=1e-9)
    assert transform.clip_mixing_()
    mixed = torch.eye(12, dtype=torch.float64) + transform.u @ transform.v.T
    expected = torch.linalg.svdvals(mixed.detach())[-1].item()
    assert transform.smallest_singular_value() == pytest.approx(expected)
    assert expected == pytest.approx(1 - MOST_MIXED)
    before = transform.u.clone()
    assert not transform.clip_mixing_()
    assert torch.equal(transform.u, before)
