"""The prior: causal, its cache changes nothing, its draws follow its probabilities."""

import math
from dataclasses import replace

import pytest
import torch

from tokenizer.images.config import PriorConfig
from tokenizer.images.model.prior import Prior, kept_logits
from tokenizer.images.training.prior import train_prior

SMALL = PriorConfig(
    prior_steps=60, prior_batch=32, prior_layers=2, prior_heads=2, prior_width=16,
    prior_learning_rate=1e-2,
)  # fmt: skip


def _prior(levels: int) -> Prior:
    torch.manual_seed(0)
    prior = Prior(6, levels, 5, SMALL)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return prior.eval()


def _logits(prior: Prior, codes: torch.Tensor) -> torch.Tensor:
    """Return the logits (n, P · L, K) of all places at once, as training has them."""
    sequence = codes.flatten(1)
    start = prior.start.expand(len(codes), 1, -1)
    x = torch.cat([start, prior._embedded(sequence[:, :-1])], 1) + prior.places
    hidden, _ = prior._hidden(x, None)
    levels = [place % prior.levels for place in range(prior.length)]
    found = [hidden[:, place] @ prior.tokens[level].T for place, level in enumerate(levels)]
    return torch.stack(found, 1).detach()


@pytest.mark.parametrize("levels", [1, 2])
def test_a_code_is_told_by_those_before_it_alone(levels: int) -> None:
    prior, codes = _prior(levels), torch.randint(5, (1, 6, levels))
    before = _logits(prior, codes)
    changed = codes.clone()
    changed[0, 3, 0] = (changed[0, 3, 0] + 1) % 5
    place = 3 * levels
    same = torch.isclose(_logits(prior, changed), before).all(2)[0].tolist()
    assert same == [index <= place for index in range(6 * levels)]
    shares = before.log_softmax(2).gather(2, codes.flatten(1).unsqueeze(2))
    torch.testing.assert_close(prior.loss(codes).detach(), -shares.sum((1, 2)))


@pytest.mark.parametrize("levels", [1, 2])
def test_draws_with_the_cache_are_those_of_the_whole_sequence(levels: int) -> None:
    """At a temperature near 0 each code is the likeliest one after those before it."""
    prior = _prior(levels)
    cold = replace(SMALL, temperature=1e-3)
    codes = prior.sample(3, cold, torch.Generator().manual_seed(0))
    assert codes.shape == (3, 6, levels)
    assert torch.equal(_logits(prior, codes).argmax(2), codes.flatten(1))


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    prior = _prior(1)
    codes = prior.sample(4000, SMALL, torch.Generator().manual_seed(0))
    again = prior.sample(4000, SMALL, torch.Generator().manual_seed(0))
    assert torch.equal(codes, again)
    wanted = _logits(prior, codes[:1])[0, 0].softmax(0)
    drawn = torch.bincount(codes[:, 0, 0], minlength=5) / 4000
    torch.testing.assert_close(drawn, wanted, atol=0.04, rtol=0)


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    kept = kept_logits(logits, replace(SMALL, sample_top_k=2))
    assert kept.isfinite().tolist() == [[True, True, False, False]]
    for share, wanted in ((0.5, [True, False, False, False]), (0.6, [True, True, False, False])):
        kept = kept_logits(logits.flip(1), replace(SMALL, sample_top_p=share))
        assert kept.isfinite().tolist() == [wanted[::-1]]
    warm = kept_logits(logits, replace(SMALL, temperature=2.0))
    torch.testing.assert_close(warm, logits / 2)


def test_a_prior_learns_what_follows() -> None:
    """Images whose codes count up from a random first one: only the first is uncertain."""
    first = torch.arange(64) % 4
    codes = ((first[:, None] + torch.arange(6)) % 4).unsqueeze(2)
    trained = train_prior(codes, codes[:8], 4, SMALL, seed=0)
    assert math.log(4) / 6 <= math.log(trained.perplexity) * 1.02
    assert trained.perplexity < 1.6
    assert trained.bits == pytest.approx(6 * math.log2(trained.perplexity))
