"""New items stand among the found ones by nearness; how much it counts is fitted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from data_prep.errors import InputError
from recsys.generation.beam_search import FoundItems
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.new_items import NewItems
from recsys.models.causal_transformer import TowerConfig
from tests.recsys.conftest import in_order

COUNT, TRAINED, HISTORY, WIDTH = 60, 40, 5, 16


def _new_items(start: float = -math.inf) -> NewItems:
    """Return an object in which items from 40 are new."""
    draw = torch.Generator().manual_seed(0)
    vectors = functional.normalize(torch.randn(COUNT, 8, generator=draw), dim=1)
    made = NewItems(vectors, torch.arange(COUNT) >= TRAINED, HISTORY, WIDTH)
    made.weights.copy_(torch.tensor([0.5, 0.25, 0.125, 0.0, 0.0]))
    made.start.fill_(start)
    return made


def _users(count: int = 40, listed: int = 12) -> tuple[Tensor, FoundItems]:
    """Return histories and found items, some of them new, in order of their scores."""
    draw = torch.Generator().manual_seed(1)
    histories = torch.randint(COUNT, (count, HISTORY), generator=draw)
    histories[::3, 2:] = -1
    items = torch.rand(count, COUNT, generator=draw).argsort(1)[:, :listed]
    scores = torch.randn(count, listed, generator=draw).sort(1, descending=True).values
    items[::4, -2:], scores[::4, -2:] = -1, -torch.inf
    return histories, FoundItems(items, scores)


def _expected(made: NewItems, histories: Tensor, found: FoundItems, user: int) -> dict[int, float]:
    """Return the score of each item that a user may be shown, one by one."""
    vectors = made.get_buffer("vectors")
    scores = {
        item: score
        for item, score in zip(found.items[user].tolist(), found.scores[user].tolist(), strict=True)
        if 0 <= item < TRAINED
    }
    own = [item for item in histories[user].tolist() if item >= 0]
    for item in set(range(TRAINED, len(vectors))) - set(own):
        near = sum(
            weight * float(vectors[item] @ vectors[before])
            for weight, before in zip(made.weights.tolist(), reversed(own), strict=False)
        )
        scores[item] = float(made.start) + WIDTH**0.5 * near
    return scores


def _check(result: FoundItems, user: int, expected: dict[int, float]) -> None:
    best = sorted(expected.items(), key=lambda pair: -pair[1])[: result.items.shape[1]]
    listed = result.items[user].tolist()
    assert listed == [item for item, _ in best] + [-1] * (len(listed) - len(best))
    torch.testing.assert_close(
        result.scores[user, : len(best)], torch.tensor([score for _, score in best])
    )
    assert result.scores[user, len(best) :].isneginf().all()


def test_nothing_is_added_before_the_fit() -> None:
    histories, found = _users()
    assert _new_items()(histories, found) is found


@pytest.mark.parametrize("start", [-1.0, 0.5, 4.0])
def test_the_nearest_new_items_stand_among_the_found_ones(start: float) -> None:
    """Those that the search found lose their places, and a history's own are not added."""
    made = _new_items(start)
    histories, found = _users()
    result = made(histories, found)
    for user in range(len(histories)):
        _check(result, user, _expected(made, histories, found, user))


def test_items_that_are_left_out_or_are_no_candidates_are_not_added() -> None:
    made = _new_items(2.0)
    histories, found = _users()
    excluded = torch.full((len(histories), 3), -1)
    excluded[:, 0], excluded[1::2, 1] = 45, 50
    candidates = torch.tensor([3, 45, 46, 50, 51, 52])
    left = FoundItems(
        found.items.masked_fill(~torch.isin(found.items, candidates), -1),
        found.scores.masked_fill(~torch.isin(found.items, candidates), -torch.inf),
    )
    result = made(histories, left, excluded, candidates)
    for user in range(len(histories)):
        allowed = set(candidates.tolist()) - set(excluded[user].tolist())
        expected = _expected(made, histories, left, user)
        _check(result, user, {item: expected[item] for item in expected if item in allowed})


def test_items_that_come_later_are_new() -> None:
    made = _new_items(3.0)
    histories, found = _users()
    more = functional.normalize(torch.randn(5, 8), dim=1)
    made.extend(torch.cat([made.get_buffer("vectors"), more]))
    assert made.new.sum() == COUNT - TRAINED + 5
    result = made(histories, found)
    assert (result.items >= COUNT).any()
    for user in range(len(histories)):
        _check(result, user, _expected(made, histories, found, user))


def _taken(
    share: float, users: int = 3000, listed: int = 12
) -> tuple[NewItems, Tensor, FoundItems, Tensor]:
    """Return users of whom this share took the new item that is nearest to their last item."""
    made = _new_items()
    made.weights.zero_()
    histories, found = _users(users, listed)
    histories[:, 0] = histories[:, 0] % TRAINED  # the last item of no history is alone new
    draw = torch.Generator().manual_seed(2)
    last = histories.gather(1, (histories >= 0).sum(1, keepdim=True) - 1).squeeze(1)
    vectors = made.get_buffer("vectors")
    similar = vectors[last] @ vectors[TRAINED:].T
    own = torch.zeros(users, COUNT + 1, dtype=torch.bool).scatter_(1, histories % (COUNT + 1), True)
    similar[own[:, TRAINED:COUNT]] = -torch.inf
    nearest = TRAINED + similar.argmax(1)
    known = torch.where(found.items < TRAINED, found.items, -1).amax(1).clamp(min=0)
    takes = torch.rand(users, generator=draw) < share
    return made, histories, found, torch.where(takes, nearest, known)


def _hits(made: NewItems, histories: Tensor, found: FoundItems, targets: Tensor) -> Tensor:
    result: FoundItems = made(histories, found)
    return (result.items[:, :10] == targets[:, None]).any(1)


def test_the_fit_lets_users_find_new_items_and_all_users_find_no_less() -> None:
    made, histories, found, targets = _taken(0.3)
    without = FoundItems(
        torch.where(found.items < TRAINED, found.items, -1),
        found.scores.masked_fill(found.items >= TRAINED, -torch.inf),
    )
    scores, order = without.scores.sort(1, descending=True)
    without = FoundItems(without.items.gather(1, order), scores)
    before = (without.items[:, :10] == targets[:, None]).any(1)
    made.fit(made.new, histories, without, targets)
    assert made.weights[0] > 2 * made.weights[1:].abs().max()
    counted = (histories != targets[:, None]).all(1)
    after, of_new = _hits(made, histories, without, targets), targets >= TRAINED
    assert after[of_new & counted].float().mean() > 0.8
    assert not before[of_new].any()
    assert after[counted].sum() >= before[counted].sum()


@pytest.mark.parametrize("listed", [5, 12])
def test_no_other_start_shows_new_items_to_more_users_at_no_cost(listed: int) -> None:
    """Users who came back to an item of theirs do not count; lists may be short."""
    made, histories, found, targets = _taken(0.2, 600, listed)
    targets[::5] = histories[::5, 0]
    made.fit(made.new, histories, found, targets)
    counted, of_new = (histories != targets[:, None]).all(1), targets >= TRAINED
    fitted = made.start.clone()

    def hits(start: float) -> tuple[int, int]:
        made.start.fill_(start)
        found_ten = _hits(made, histories, found, targets) & counted
        return int((found_ten & of_new).sum()), int(found_ten.sum())

    made.start.fill_(-1e9)  # new items come after all others
    ten = FoundItems(*(each[:, :10] for each in made(histories, found)))
    known = (ten.items == targets[:, None]) & (ten.scores > -1e8)
    before = int((known.any(1) & counted).sum())
    others = [hits(float(fitted) + step / 4) for step in range(-40, 41)]
    allowed = [of_new for of_new, in_all in others if in_all >= before]
    assert hits(float(fitted))[0] == max(allowed) > 0
    assert hits(float(fitted))[1] >= before


def test_without_users_of_new_items_nothing_is_fitted() -> None:
    made, histories, found, targets = _taken(0.0)
    made.fit(made.new, histories, found, targets)
    assert made.start.isneginf()
    assert not made.weights.any()


def test_the_fit_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, histories, found, targets = _taken(0.3, 500)
    whole.fit(whole.new, histories, found, targets)
    monkeypatch.setattr("recsys.generation.new_items.AT_ONCE", 900)
    parts = _taken(0.3, 500)[0]
    parts.fit(parts.new, histories, found, targets)
    torch.testing.assert_close(parts.weights, whole.weights, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(parts.start, whole.start, atol=1e-2, rtol=1e-2)


def _generator() -> Generator:
    """Return a generator of 50 items, of which the last ten are new."""
    torch.manual_seed(0)
    books = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    data = replace(in_order(), codebooks=books)
    data = data.without_training_events(0.2, seed=0)
    shape = GeneratorConfig(
        tower=TowerConfig(width=16, heads=2, feedforward=32, dropout=0.0, history=4),
        headroom=2,
        beams=12,
        validation_beams=10,
        nearness="codes",
        transitions=True,
        new_items=True,
    )
    model = Generator(shape, data).eval()
    model.calibrate(data)
    return model


def test_a_generator_lists_new_items_and_those_that_come_later() -> None:
    model = _generator()
    assert model.reranker is not None
    made = model.reranker.new_items
    assert made is not None
    assert made.start.isfinite()  # fitted
    assert made.new.sum() == 10
    histories = torch.tensor([[1, 2, -1], [3, 4, 5], [49, -1, -1]])
    made.start.fill_(100.0)
    made.weights[0] = 1.0
    new = made.get_buffer("items").tolist()
    for row in model.recommend(histories, 3).items.tolist():
        assert set(row) <= set(new)
    model.extend(np.array([[2, 2]], np.uint16), np.array([3], np.uint32))
    nearest = model.recommend(histories, 10, candidates=torch.tensor([50])).items
    assert nearest[:, 0].tolist() == [50] * 3
    assert (nearest[:, 1:] == -1).all()


def test_new_items_need_nearness_and_transitions() -> None:
    for config in (
        GeneratorConfig(new_items=True),
        GeneratorConfig(new_items=True, nearness="codes"),
        GeneratorConfig(new_items=True, transitions=True),
    ):
        with pytest.raises(InputError, match="new_items needs nearness and transitions"):
            Generator(config, in_order())
