"""The residual stack: unused codewords go to badly coded latents."""

import pytest
import torch
from torch import Tensor

from tests.tokenizer.quantizers.stacks import latents, stack_of
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers import GritQuantizer
from tokenizer.quantizers.grit.transform import LinearTransform


def _stack(levels: int = 2, **changes: object) -> tuple[ResidualQuantizer, Tensor]:
    config = GritConfig(levels=levels, codebook_size=16, rank=2, **changes)  # type: ignore[arg-type]
    torch.manual_seed(0)  # of U and V
    stack = ResidualQuantizer([GritQuantizer(config, 8) for _ in range(levels)])
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 8, generator=generator)
    stack.start_from(z, generator)
    with torch.no_grad():
        for level in stack.stages:
            assert isinstance(level, GritQuantizer)
            assert isinstance(level.transform, LinearTransform)
            level.raw.rows[:6] += 100.0
            level.transform.w.copy_(-0.5 * torch.eye(8))  # far from the identity
            level.transform.u.copy_(0.1 * torch.randn(16, 2, generator=generator))
    return stack.eval(), z


def _unused(codes: Tensor) -> list[int]:
    return [16 - len(column.unique()) for column in codes.T]


def test_unused_codewords_are_put_on_the_worst_coded_latents() -> None:
    stack, z = _stack()
    codes = stack.encode(z)
    dead = _unused(codes)
    assert min(dead) >= 6
    gaps = (z - stack.decode(codes)).square().sum(1)
    moved = stack.refill(z, codes)
    assert moved == dead
    worst = gaps.topk(sum(dead)).indices
    first = stack.stages[0].searched()
    assert torch.cdist(z[worst[: dead[0]]], first).min(1).values.max() < 0.05  # put on them
    again = stack.encode(z)
    assert sum(_unused(again)) < 0.6 * sum(dead)
    left = (z - stack.decode(again)).square().sum(1)
    assert left.mean() < gaps.mean()
    assert left[worst].mean() < 0.5 * gaps[worst].mean()


def test_latents_that_are_coded_exactly_attract_no_codeword() -> None:
    stack, z = _stack(levels=1)
    few = stack.decode(stack.encode(z[:40]))
    before = stack.stages[0].searched().clone()
    assert stack.refill(few, stack.encode(few)) == [0]
    assert torch.equal(stack.stages[0].searched(), before)


@pytest.mark.parametrize("changes", [{"protocol": "frozen"}, {"reset_below": 0.0}])
def test_frozen_codebooks_and_those_without_resets_stay(changes: dict[str, object]) -> None:
    config = GritConfig(levels=2, codebook_size=16, rank=2, **changes)  # type: ignore[arg-type]
    stack = ResidualQuantizer([GritQuantizer(config, 8) for _ in range(2)])
    z = torch.randn(10, 8)
    assert stack.refill(z, stack.eval().encode(z)) == [0, 0]


def _pairs() -> Tensor:
    """Return 100 latents, each followed by one very near to it."""
    z = latents(100)
    near = z + 0.5 * torch.randn(z.shape, generator=torch.Generator().manual_seed(2))
    return torch.stack([z, near], 1).flatten(0, 1)


def test_items_with_crowded_codes_get_different_codes_under_one_prefix() -> None:
    stack, z = stack_of("grit", crowded_choices=8).eval(), _pairs()
    before = stack.encode(z)
    shared = len(before) - len(before.unique(dim=0))
    assert shared > 60
    assert stack.mark_crowded(z, before) > 50
    after = stack.encode(z)
    assert len(after) - len(after.unique(dim=0)) < shared / 3
    assert torch.equal(after[:, :-1], before[:, :-1])
    _, group, sizes = before.unique(dim=0, return_inverse=True, return_counts=True)
    alone = sizes[group] == 1
    assert alone.any()
    assert torch.equal(after[alone], before[alone])  # only crowded codes change
    left = z - sum(stack.stages[level].decode(after[:, level]) for level in (0, 1))
    gaps = torch.cdist(left, stack.stages[2].searched())
    nearest = gaps.topk(8, largest=False).values
    assert (gaps.gather(1, after[:, 2:]) <= nearest[:, -1:] + 1e-5).all()


def test_an_items_codes_do_not_depend_on_other_items_and_are_stored() -> None:
    stack, z = stack_of("grit", crowded_choices=8).eval(), _pairs()
    best = stack.encode(z)
    stack.mark_crowded(z, best)
    codes = stack.encode(z)
    assert not torch.equal(codes, best)
    assert torch.equal(stack.encode(z.flip(0)).flip(0), codes)
    assert torch.equal(torch.cat([stack.encode(row) for row in z.split(1)]), codes)
    other = stack_of("grit", crowded_choices=8).eval()
    other.load_state_dict(stack.state_dict())
    assert torch.equal(other.encode(z), codes)
    assert torch.equal(stack.train().encode(z), best)  # training codes by distance alone
    assert not any("crowded" in name for name in stack_of("grit").state_dict())
    assert stack_of("fsq", crowded_choices=8).choices == 1  # it does not choose by distance
