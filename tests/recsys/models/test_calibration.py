"""How much nearness counts is fitted on validation users after the training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.data.histories import newest_first
from recsys.fit import fit
from recsys.models.calibration import Calibration, HeldOut, calibrated, stand_ins
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.presets import Model
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of

Pair = tuple[float, float]
ITEMS, USERS, WEIGHTS = 120, 3000, (4.0, 2.0)
TRAINING = TrainingConfig(epochs=2, batch_size=64, warmup_steps=5)


def _held_out(new: float = 0.2, near: Pair = WEIGHTS, after: Pair = (0.0, 0.0)) -> HeldOut:
    """Return users who take what is near, or what follows, their last two items.

    The scores without both know the old items' shares, and put new items far below. Each item has
    two followers. `new` of the items are new.
    """
    draw = torch.Generator().manual_seed(0)
    vectors = functional.normalize(torch.randn(ITEMS, 6, generator=draw), dim=1)
    last = torch.randint(ITEMS, (USERS, 2), generator=draw)
    popularity = torch.randn(ITEMS, generator=draw)
    followers = torch.randint(ITEMS, (ITEMS, 2), generator=draw)[last]
    shares = torch.tensor([1.0, 0.5]).expand(followers.shape)
    scores = torch.einsum("t,btd->bd", torch.tensor(near), vectors[last]) @ vectors.T + popularity
    added = shares * torch.tensor(after)[:, None]
    scores = scores.scatter_add(1, followers.flatten(1), added.flatten(1))
    targets = torch.multinomial(scores.softmax(1), 1, generator=draw).squeeze(1)
    is_new = torch.rand(ITEMS, generator=draw) < new
    items = torch.where(is_new, -2.0, popularity)[:, None]
    users = torch.ones(USERS, 1)
    return HeldOut(users, items, vectors, last, followers, shares, last, targets, is_new)


def _hits(held_out: HeldOut, by: Calibration, users: torch.Tensor) -> int:
    """Count, user by user, whose target is among the first ten items beyond the history."""
    count = 0
    for user in users.nonzero().flatten().tolist():
        vector = torch.zeros(held_out.near.shape[1])
        added = torch.zeros(ITEMS)
        for place, item in enumerate(held_out.last[user].tolist()):
            vector += by.nearness[place] * held_out.near[item]
            for follower, share in zip(
                held_out.followers[user, place].tolist(),
                held_out.shares[user, place].tolist(),
                strict=True,
            ):
                added[follower] += by.transitions[place] * share
        nearness = held_out.near @ vector
        nearness = torch.where(held_out.new, by.factor * nearness + by.start, nearness)
        scores = (held_out.users[user] @ held_out.items.T + nearness + added).tolist()
        target = int(held_out.targets[user])
        others = set(range(ITEMS)) - set(held_out.histories[user].tolist()) - {target}
        count += sum(scores[item] > scores[target] for item in others) < 10
    return count


def test_weights_follow_what_users_took() -> None:
    """Twice as much for the last item as for the one before; nothing where nothing matters."""
    for found in (
        calibrated(_held_out()).nearness,
        calibrated(_held_out(near=(0.0, 0.0), after=WEIGHTS)).transitions,
    ):
        assert found.shape == (2,)
        assert 1.6 < float(found[0] / found[1]) < 2.6
        assert float(found[1]) > 0.9
    unrelated = calibrated(_held_out(near=(0.0, 0.0)))
    for weights in (unrelated.nearness, unrelated.transitions):
        assert float(weights.abs().max()) < 0.5


@pytest.mark.parametrize("near", [WEIGHTS, (1.5, 0.5)])
def test_new_items_start_as_high_as_all_users_allow(near: Pair) -> None:
    """No start serves more users of new items and as many of all as without nearness."""
    held_out = _held_out(near=near)
    beyond = (held_out.histories != held_out.targets[:, None]).all(1)
    of_new = beyond & held_out.new[held_out.targets]
    plain = Calibration(torch.zeros(2), torch.zeros(2), 1.0, 0.0)
    least = _hits(held_out, plain, beyond)
    found = calibrated(held_out)
    assert _hits(held_out, found, beyond) >= least
    most = _hits(held_out, found, of_new)
    assert most > 2 * _hits(held_out, plain, of_new)
    for added in (-1.0, -0.125, 0.125, 1.0):
        other = replace(found, start=found.start + added)
        served = _hits(held_out, other, of_new)
        assert served < most + (added > 0) or _hits(held_out, other, beyond) < least


def test_users_who_take_an_item_again_do_not_count() -> None:
    held_out = _held_out()
    again = held_out.last[:, 0]
    names = ("users", "last", "followers", "shares", "histories")
    both = replace(
        held_out,
        targets=torch.cat([held_out.targets, again]),
        **{name: torch.cat([getattr(held_out, name)] * 2) for name in names},
    )
    found, wanted = calibrated(both), calibrated(held_out)
    torch.testing.assert_close(found.nearness, wanted.nearness)
    assert (found.factor, found.start) == (wanted.factor, wanted.start)
    none = calibrated(replace(held_out, targets=again))
    assert none.nearness.tolist() == none.transitions.tolist() == [0, 0]
    assert (none.factor, none.start) == (1, 0)


def test_a_model_that_ranks_the_wrong_way_round_gets_no_huge_weights() -> None:
    """Its own scores count too little to divide by."""
    held_out = _held_out()
    found = calibrated(replace(held_out, items=-held_out.items))
    assert 0 < float(found.nearness[0]) < 100


def test_the_newest_items_come_first() -> None:
    rows = torch.tensor([[4, 5, 6, -1], [7, -1, -1, -1]])
    assert newest_first(rows, 3).tolist() == [[6, 5, 4], [7, -1, -1]]


def _shop(cold: float) -> SequenceDataset:
    """Return shoppers who stay among the items of one first code."""
    draw = np.random.default_rng(0)
    codes = np.stack([np.arange(60) // 12, np.arange(60) % 12], 1)
    rows = [(draw.permutation(12)[:6] + 12 * group).tolist() for group in draw.integers(0, 5, 400)]
    data = replace(
        dataset_of(rows, 60, codes.tolist()),
        codebooks=(draw.normal(size=(2, 12, 8)) * [[[3.0]], [[1.0]]]).astype(np.float32),
    )
    return data.without_training_events(cold, seed=0) if cold else data


@pytest.mark.parametrize("cold", [0.0, 0.2])
def test_training_ends_with_the_calibration(cold: float) -> None:
    """The best measurement is that of the calibrated model; new items are found more often.

    Where no item is new, items drawn from the others show what new ones start from.
    """
    data = _shop(cold)
    shape = DualEncoderConfig(
        ("codes", "prefixes"),
        tower=TowerConfig(width=16, feedforward=16, history=5),
        nearness="codes",
        transitions=True,
    )
    torch.manual_seed(0)
    found = train(lambda: DualEncoder(shape, data), data, TRAINING)
    model = found.model
    assert model.nearness is not None
    assert model.nearness.weights[0, 0] > 0
    assert model.transitions is not None
    assert model.transitions.weights.abs().sum() > 0
    assert model.fresh is not None
    assert model.fresh[1] != 0
    quality = model.evaluate(data, "validation")
    for name in ("all", "without_history"):
        measured = found.best.validation[name]  # type: ignore[index]
        assert measured["recall@10"] == quality.metrics(name)["recall@10"]  # type: ignore[arg-type]
    if cold:
        new = data.popularity[data.targets("validation")] == 0
        with_nearness = quality.of(new).metrics("without_history")["recall@10"]
        torch.nn.init.zeros_(model.nearness.weights)
        torch.nn.init.zeros_(model.fresh)
        plain = model.evaluate(data, "validation")
        assert with_nearness > plain.of(new).metrics("without_history")["recall@10"]


def test_a_model_without_nearness_has_nothing_to_fit() -> None:
    data = _shop(0.0)
    shape = DualEncoderConfig(("codes",), tower=TowerConfig(width=16, feedforward=16, history=5))
    assert not DualEncoder(shape, data).calibrates
    assert DualEncoder(replace(shape, nearness="codes"), data).calibrates


def test_what_follows_the_training_is_told() -> None:
    data = _shop(0.0)
    shape = DualEncoderConfig(("codes",), tower=TowerConfig(width=16, feedforward=16, history=5))
    once = replace(TRAINING, epochs=1)
    told: dict[str, list[str]] = {}
    for near in ("", "codes"):
        chosen = Model(replace(shape, nearness=near), once)
        fit("dual-encoder", chosen, data, stage=told.setdefault(near, []).append)
    assert told[""] == ["ranking all items for every user"]
    assert told["codes"] == ["fitting the best state to validation users", *told[""]]


def test_a_tenth_of_the_items_stands_for_new_ones_where_few_users_took_one() -> None:
    new = torch.arange(1000) >= 980
    few, enough = torch.full((49,), 990), torch.full((50,), 990)
    assert not stand_ins(new, enough).any()
    instead = stand_ins(new, few)
    assert not (instead & new).any()
    assert 60 < instead.sum() < 140
    assert instead.equal(stand_ins(new, torch.tensor([3])))
