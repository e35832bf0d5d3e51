import math
from dataclasses import replace

import pytest
import torch

from data_prep.errors import InputError
from tests.conftest import SMALL
from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.quantizer_config import FsqConfig, as_variant, variant_config
from tokenizer.quantizers import check_config
from tokenizer.quantizers.grid.codebook import GridQuantizer
from tokenizer.quantizers.grid.fsq import FsqQuantizer, fsq_levels
from tokenizer.quantizers.grid.lfq import LfqQuantizer, entropies
from tokenizer.training.loop import train

CONFIG = FsqConfig("fsq", codebook_size=64)
NAMES = {FsqQuantizer: "fsq", LfqQuantizer: "lfq"}
GRIDS = (FsqQuantizer, LfqQuantizer)


def _latents() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4000, 8, generator=generator) * torch.arange(8, 0, -1) + 3


def _level(kind: type[GridQuantizer], **changes: object) -> GridQuantizer:
    config = variant_config(NAMES[kind], codebook_size=64, **changes)
    level = kind(config, 8)  # type: ignore[arg-type, call-arg]
    level.start_from(_latents(), torch.Generator().manual_seed(0))
    return level


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        (7, (7,)),
        (16, (16,)),
        (25, (5, 5)),
        (64, (8, 8)),
        (240, (8, 6, 5)),
        (256, (8, 8, 4)),
        (257, (257,)),
        (262, (262,)),
        (1024, (8, 8, 4, 4)),
        (4096, (8, 8, 4, 4, 4)),
    ],
)
def test_channels_are_chosen_for_the_codebook_size(size: int, levels: tuple[int, ...]) -> None:
    assert fsq_levels(size) == levels


def test_every_size_has_channels_with_that_product() -> None:
    for size in (*range(2, 600), 65_535, 65_536):
        assert math.prod(fsq_levels(size)) == size


def test_given_channels_must_make_the_codebook() -> None:
    check_config(replace(CONFIG, fsq_levels=(4, 4, 4)))
    with pytest.raises(InputError, match=r"make 60 codewords, not the codebook size 64; choose"):
        check_config(replace(CONFIG, fsq_levels=(5, 4, 3)))
    with pytest.raises(InputError, match="numbers from 2 on"):
        check_config(replace(CONFIG, fsq_levels=(-8, -8)))


@pytest.mark.parametrize("kind", GRIDS)
def test_every_code_is_reached_by_the_point_it_names(kind: type[GridQuantizer]) -> None:
    level = _level(kind, start="random").double()
    inverse = torch.linalg.pinv(level.down.detach())
    channels = (level.grid * (1 - 1e-9)).atanh()
    z = (channels - level.shift.detach()) @ inverse.T
    assert torch.equal(level.encode(z), torch.arange(64))
    assert len(level.codebook().unique(dim=0)) == 64


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("start", ["kmeans", "random"])
def test_the_start_uses_its_codes_and_loses_less_than_the_mean(
    kind: type[GridQuantizer], start: str
) -> None:
    level, z = _level(kind, start=start), _latents()
    codes = level.encode(z)
    assert len(codes.unique()) > (63 if start == "kmeans" else 50)
    lost = (z - level.decode(codes)).square().sum() / (z - z.mean(0)).square().sum()
    assert lost < (0.75 if start == "kmeans" else 0.95)


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_codes_do_not_depend_on_the_scale(kind: type[GridQuantizer], scale: float) -> None:
    level, other = _level(kind), kind(_level(kind).config, 8)  # type: ignore[call-arg, arg-type]
    other.start_from(_latents() * scale, torch.Generator().manual_seed(0))
    same = level.encode(_latents()) == other.encode(_latents() * scale)
    assert same.float().mean() > 0.999


@pytest.mark.parametrize("kind", GRIDS)
def test_the_rounding_passes_the_gradient_of_tanh(kind: type[GridQuantizer]) -> None:
    level = _level(kind).double().train()
    z = _latents().double().requires_grad_()
    weights = torch.randn(4000, 8, dtype=torch.float64)
    (level(z).quantized * weights).sum().backward()
    slope = 1 - level.channels(z).tanh().square()
    expected = (weights @ level.up.T * slope) @ level.down
    assert torch.allclose(gradient(z), expected)
    assert gradient(level.up).abs().sum() > 0
    assert gradient(level.down).abs().sum() > 0


def test_entropies_are_those_of_the_bits() -> None:
    """Independent bits: the entropy over codes is the sum over bits of each one's own."""
    level = _level(LfqQuantizer)
    channels = torch.randn(50, 6)
    sample, batch = entropies(channels, level.grid)
    bits = torch.special.entr(torch.stack([(4 * channels).sigmoid(), (-4 * channels).sigmoid()]))
    assert sample.item() == pytest.approx(bits.sum(0).sum(1).mean().item(), rel=1e-4)
    assert sample <= batch <= math.log(64) + 1e-5


def test_entropies_tell_sure_and_even_from_unsure_and_uneven() -> None:
    level = _level(LfqQuantizer)
    sure, even = entropies(20 * level.grid, level.grid)
    assert sure.item() == pytest.approx(0, abs=1e-5)
    assert even.item() == pytest.approx(math.log(64), rel=1e-5)
    unsure, _ = entropies(torch.zeros(5, 6), level.grid)
    assert unsure.item() == pytest.approx(math.log(64), rel=1e-5)
    far = (1e4 * level.grid[:1]).requires_grad_()
    alone, together = entropies(far, level.grid)
    assert alone.item() == together.item() == pytest.approx(0, abs=1e-5)
    (alone + together).backward()
    assert gradient(far).isfinite().all()


def test_the_entropy_terms_spread_codes_that_have_gathered() -> None:
    level = _level(LfqQuantizer, entropy_weight=1.0).train()
    with torch.no_grad():
        level.shift.add_(1.5)
    before = torch.bincount(level.encode(_latents()), minlength=64).float()
    optimizer = torch.optim.Adam(level.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        level(_latents()).loss.backward()
        optimizer.step()
    after = torch.bincount(level.encode(_latents()), minlength=64).float()
    assert after.std() < 0.5 * before.std()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("size", [2, 16])
@pytest.mark.parametrize("name", ["fsq", "lfq"])
def test_a_level_that_has_nothing_left_to_code_trains_on(name: str, size: int, count: int) -> None:
    x = torch.randn(count, 24, generator=torch.Generator().manual_seed(0)).repeat(20, 1)
    quantizer = as_variant(SMALL.quantizer, name, {"codebook_size": size})
    result = train(x, replace(SMALL, quantizer=quantizer, steps=20))
    assert result.best.finite
