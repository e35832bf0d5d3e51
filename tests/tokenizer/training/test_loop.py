import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import SMALL
from tokenizer.quantizer_config import as_variant
from tokenizer.quantizers import GritQuantizer
from tokenizer.training.health import relative_error
from tokenizer.training.loop import train, training_loss
from tokenizer.training.optimizer import half_cosine
from tokenizer.training.separation import separation_loss
from tokenizer.training.split import split_rows


def test_one_seed_gives_one_model_and_another_seed_another(vectors: NDArray[np.float32]) -> None:
    x = torch.from_numpy(vectors)
    first, second = train(x, SMALL), train(x, SMALL)
    assert first.history == second.history
    states = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = train(x, replace(SMALL, seed=1))
    assert not torch.equal(first.model.encode(x), other.model.encode(x))


def test_training_lowers_the_error_and_uses_the_codebooks(vectors: NDArray[np.float32]) -> None:
    result = train(torch.from_numpy(vectors), SMALL)
    assert result.history[-1].train_error < result.history[0].train_error < 1
    assert result.best.validation_error == min(e.validation_error for e in result.history)
    assert all(utilization > 0.9 for utilization in result.best.utilization)
    assert not result.model.training


def test_it_stops_when_no_error_is_left(vectors: NDArray[np.float32]) -> None:
    """Ten vectors have codewords of their own, so that k-means leaves nothing to gain."""
    x = torch.from_numpy(vectors[:10]).repeat(4, 1)
    result = train(x, replace(SMALL, steps=2000))
    assert result.best.validation_error < 5e-4
    assert result.history[-1].step < 1000


def test_it_stops_when_the_held_out_error_no_longer_falls(vectors: NDArray[np.float32]) -> None:
    """With a learning rate of almost nothing no measurement is better than an early one."""
    config = replace(SMALL, steps=2000, learning_rate=1e-12, patience=2, separation=0.0)
    result = train(torch.from_numpy(vectors), config)
    assert result.history[-1].step < 2000


def test_progress_hears_of_every_step(vectors: NDArray[np.float32]) -> None:
    heard: list[tuple[int, bool]] = []
    train(
        torch.from_numpy(vectors),
        SMALL,
        lambda step, measured: heard.append((step, measured is not None)),
    )
    assert [step for step, _ in heard] == list(range(1, 81))
    assert [step for step, measured in heard if measured] == [40, 60, 80]


def test_torchs_global_state_is_left_alone(vectors: NDArray[np.float32]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(torch.from_numpy(vectors), replace(SMALL, steps=2))
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_held_out_items_are_apart_from_the_others() -> None:
    split = split_rows(100, 0.1, seed=0)
    parts = [part.tolist() for part in (split.training, split.validation, split.held_out)]
    assert [len(part) for part in parts] == [90, 5, 5]
    assert sorted([*parts[0], *parts[1], *parts[2]]) == list(range(100))


@pytest.mark.parametrize(("count", "share"), [(5, 0.1), (19, 0.5), (100, 0.0)])
def test_with_nothing_held_out_there_is_no_held_out_error(
    vectors: NDArray[np.float32], count: int, share: float
) -> None:
    """All rows train, and the training error chooses the step."""
    split = split_rows(count, share, seed=0)
    assert split.training.tolist() == split.validation.tolist() == list(range(count))
    assert len(split.held_out) == 0
    best = train(torch.from_numpy(vectors[:count]), replace(SMALL, held_out=share, steps=1)).best
    assert best.held_out_error is None
    assert best.validation_error == best.train_error


def test_the_best_step_is_kept_and_not_the_last(vectors: NDArray[np.float32]) -> None:
    """On a few items training overfits: the returned model has the error of its best step."""
    config = replace(SMALL, steps=600, learning_rate=0.01, patience=1000)
    x = torch.from_numpy(vectors[:60])
    result = train(x, config)
    assert result.best.step < result.history[-1].step
    rows = split_rows(len(x), config.held_out, config.seed).validation
    decoded = result.model.decode(result.model.encode(x[rows]))
    error = relative_error(x[rows], decoded, result.model.mean)
    assert error == pytest.approx(result.best.validation_error, rel=1e-5)


def test_the_loss_is_in_units_of_the_variance(vectors: NDArray[np.float32]) -> None:
    """Reconstruction: mean over dimensions. Auxiliary: summed over the latent, divided by D."""
    x = torch.from_numpy(vectors)
    model = train(x, replace(SMALL, steps=2)).model.train()
    batch = (x[:64] - model.mean) / model.scale
    neighbours = (x[64:128] - model.mean) / model.scale
    output = model(batch)
    reconstruction = (batch - output.reconstruction).square().sum(1).mean() / 256
    separation = separation_loss(
        output.latent, model.encoder(neighbours), output.quantized, SMALL.separation_margin
    )
    expected = reconstruction + output.loss / 256 + 0.1 * separation
    loss = training_loss(model, batch, neighbours, quantize=True, config=SMALL)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    plain = training_loss(model, batch, neighbours, quantize=False, config=SMALL)
    assert plain.item() == pytest.approx(
        (batch - model.decoder(model.encoder(batch))).square().mean().item(), rel=1e-5
    )


def test_separation_gives_more_items_codes_of_their_own(vectors: NDArray[np.float32]) -> None:
    x = torch.from_numpy(vectors)
    without, with_it = (
        train(x, replace(SMALL, steps=200, patience=100, separation=weight)).history[-1]
        for weight in (0.0, 1.0)
    )
    assert with_it.unique_share > without.unique_share + 0.02


def test_the_learning_rate_falls_along_half_a_cosine(vectors: NDArray[np.float32]) -> None:
    assert [half_cosine(p) for p in (0, 0.5, 1, 2)] == pytest.approx([1, 0.5, 0, 0])
    long = train(
        torch.from_numpy(vectors), replace(SMALL, steps=400, evaluate_every=1, patience=999)
    )
    early, late = (
        [abs(a.train_error - b.train_error) for a, b in pairwise(part)]
        for part in (long.history[:40], long.history[-20:])
    )
    assert max(late) < min(max(early), 0.001)


def test_the_codebooks_bound_is_kept_while_training(vectors: NDArray[np.float32]) -> None:
    quantizer = as_variant(SMALL.quantizer, "grit", {"spectral_clip": 0.5})
    model = train(torch.from_numpy(vectors), replace(SMALL, quantizer=quantizer)).model
    for level in model.quantizer.stages:
        assert isinstance(level, GritQuantizer)
        assert torch.linalg.svdvals(level.transform.w)[0] <= 0.5 + 1e-5


def test_training_needs_torch_alone() -> None:
    """A machine with an accelerator may have neither faiss nor polars nor pydantic."""
    program = (
        "import sys\n"
        "for name in ('faiss', 'polars', 'pydantic', 'sentence_transformers', 'sklearn'):\n"
        "    sys.modules[name] = None\n"
        "import tokenizer.training.loop\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_levels_learn_at_a_rate_of_their_own(vectors: NDArray[np.float32]) -> None:
    """With almost none for the levels only the network moves, and the other way round."""
    x = torch.from_numpy(vectors)
    stays = as_variant(SMALL.quantizer, "grit", {"reset_below": 0.0})
    config = replace(SMALL, warmup_steps=0, steps=20, separation=0.0, quantizer=stays)
    still = train(x, replace(config, learning_rate=1e-12)).model.state_dict()
    for network, levels in ((1e-3, 1e-12), (1e-12, 1e-3)):
        rates = replace(config, learning_rate=network, codebook_learning_rate=levels)
        moved = train(x, rates).model.state_dict()
        for name, rate in (
            ("network.encoder.0.weight", network),
            ("quantizer.levels.0.raw.rows", levels),
        ):
            far = float((moved[name] - still[name]).abs().max())
            assert (far > 1e-5) == (rate > 1e-6), name
