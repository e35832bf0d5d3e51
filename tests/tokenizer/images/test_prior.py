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


@pytest.mark.parametrize("levels", [1, 2])
def test_probabilities_sum_to_one_and_look_back_only(levels: int) -> None:
    prior = _prior(levels)
    codes = torch.randint(5, (1, 6, levels))
    every = codes.repeat(5, 1, 1)
    every[:, -1, -1] = torch.arange(5)
    losses = prior.loss(every).detach().double()
    before = prior.loss(codes).detach().double() - losses[codes[0, -1, -1]] + losses
    torch.testing.assert_close(before, losses)
    # Σ over the last code of p(all codes) is p(the codes before it), which the last cannot change.
    hidden = torch.logsumexp(-losses, 0)
    changed = every.clone()
    changed[:, 0, 0] = (changed[:, 0, 0] + 1) % 5
    assert hidden < 0
    assert not torch.isclose(torch.logsumexp(-prior.loss(changed).detach().double(), 0), hidden)


@pytest.mark.parametrize("levels", [1, 2])
def test_draws_with_the_cache_are_those_of_the_whole_sequence(levels: int) -> None:
    """At temperature near 0 each code is the likeliest one after those before it."""
    prior = _prior(levels)
    cold = replace(SMALL, temperature=1e-3)
    codes = prior.sample(3, cold, torch.Generator().manual_seed(0))
    assert codes.shape == (3, 6, levels)
    for place in range(6 * levels):
        tried = codes.repeat_interleave(5, 0)
        tried.view(15, -1)[:, place] = torch.arange(5).repeat(3)
        # Only the code at this place differs before its own loss, so compare prefixes.
        tried.view(15, -1)[:, place + 1 :] = 0
        losses = _prefix_losses(prior, tried, place)
        assert losses.view(3, 5).argmin(1).tolist() == codes.view(3, -1)[:, place].tolist()


def _prefix_losses(prior: Prior, codes: torch.Tensor, place: int) -> torch.Tensor:
    """Return −ln p of the first place + 1 codes: the mean over all that may follow is not needed."""
    first = codes.clone().view(len(codes), -1)
    whole = prior.loss(codes).detach()
    after = torch.zeros_like(whole)
    hidden, _ = prior._hidden(
        torch.cat([prior.start.expand(len(codes), 1, -1), prior._embedded(first[:, :-1])], 1)
        + prior.places,
        None,
    )
    for later in range(place + 1, prior.length):
        logits = hidden[:, later] @ prior.tokens[later % prior.levels].T
        after += -logits.log_softmax(1).gather(1, first[:, later : later + 1]).squeeze(1).detach()
    return whole - after


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    prior = _prior(1)
    codes = prior.sample(4000, SMALL, torch.Generator().manual_seed(0))
    again = prior.sample(4000, SMALL, torch.Generator().manual_seed(0))
    assert torch.equal(codes, again)
    logits = (prior._hidden(prior.start[None, None] + prior.places[0], None)[0][0, 0]) @ prior.tokens[0].T
    wanted = logits.softmax(0).detach()
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
