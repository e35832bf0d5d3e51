"""The residual stack: unused codewords go to badly coded latents."""

import pytest
import torch
from torch import Tensor

from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers import GritQuantizer


def _stack(levels: int = 2, **changes: object) -> tuple[ResidualQuantizer, Tensor]:
    config = GritConfig(levels=levels, codebook_size=16, rank=2, **changes)  # type: ignore[arg-type]
    stack = ResidualQuantizer([GritQuantizer(config, 8) for _ in range(levels)])
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 8, generator=generator)
    stack.start_from(z, generator)
    with torch.no_grad():
        for level in stack.stages:
            level.raw.rows[:6] += 10.0  # type: ignore[operator]
            level.transform.w += 0.05 * torch.randn(8, 8, generator=generator)  # type: ignore[operator]
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
    assert sum(_unused(again)) < sum(dead) / 2
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
