"""How much nearness counts is fitted on validation users after the training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.data.histories import newest_first
from recsys.models.calibration import Calibration, HeldOut, calibrated
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of

ITEMS, USERS, WEIGHTS = 120, 3000, (4.0, 2.0)
TRAINING = TrainingConfig(epochs=2, batch_size=64, warmup_steps=5)


def _held_out(new: float = 0.2, weights: tuple[float, float] = WEIGHTS) -> HeldOut:
    """Return users who take what is near their last two items; `new` of the items are new.

    The scores without nearness know the old items' shares, and put new items far below.
    """
    draw = torch.Generator().manual_seed(0)
    near = functional.normalize(torch.randn(ITEMS, 6, generator=draw), dim=1)
    last = torch.randint(ITEMS, (USERS, 2), generator=draw)
    shares = torch.randn(ITEMS, generator=draw)
    scores = torch.einsum("t,btd->bd", torch.tensor(weights), near[last]) @ near.T + shares
    targets = torch.multinomial(scores.softmax(1), 1, generator=draw).squeeze(1)
    is_new = torch.rand(ITEMS, generator=draw) < new
    items = torch.where(is_new, -4.0, shares)[:, None]
    return HeldOut(torch.ones(USERS, 1), items, near, last, last, targets, is_new)


def _hits(held_out: HeldOut, by: Calibration, users: torch.Tensor) -> int:
    """Count, user by user, whose target is among the first ten items beyond the history."""
    count = 0
    for user in users.nonzero().flatten().tolist():
        vector = sum(
            by.weights[place] * held_out.near[item]
            for place, item in enumerate(held_out.last[user])
        )
        nearness = held_out.near @ vector
        nearness = torch.where(held_out.new, by.factor * nearness + by.start, nearness)
        scores = (held_out.users[user] @ held_out.items.T + nearness).tolist()
        target = int(held_out.targets[user])
        others = set(range(ITEMS)) - set(held_out.histories[user].tolist()) - {target}
        count += sum(scores[item] > scores[target] for item in others) < 10
    return count


def test_weights_follow_what_users_took() -> None:
    """Twice as much for the last item as for the one before; nothing where nothing is near."""
    found = calibrated(_held_out())
    assert found.weights.shape == (2,)
    assert 1.6 < float(found.weights[0] / found.weights[1]) < 2.6
    assert float(found.weights[1]) > 0.15
    unrelated = calibrated(_held_out(weights=(0.0, 0.0)))
    assert float(unrelated.weights.abs().max()) < 0.1 * float(found.weights[1])


def test_new_items_start_as_high_as_all_users_allow() -> None:
    """No start serves more users of new items and as many of all as without nearness."""
    held_out = _held_out()
    beyond = (held_out.histories != held_out.targets[:, None]).all(1)
    of_new = beyond & held_out.new[held_out.targets]
    least = _hits(held_out, Calibration(torch.zeros(2), 1.0, 0.0), beyond)
    found = calibrated(held_out)
    assert _hits(held_out, found, beyond) >= least
    most = _hits(held_out, found, of_new)
    assert most > 5 * _hits(held_out, Calibration(torch.zeros(2), 1.0, 0.0), of_new)
    for added in (-1.0, -0.125, 0.125, 1.0):
        other = replace(found, start=found.start + added)
        served = _hits(held_out, other, of_new)
        assert served < most + (added > 0) or _hits(held_out, other, beyond) < least


def test_users_who_take_an_item_again_do_not_count() -> None:
    held_out = _held_out()
    again = held_out.last[:, 0]
    names = ("users", "last", "histories")
    both = replace(
        held_out,
        targets=torch.cat([held_out.targets, again]),
        **{name: torch.cat([getattr(held_out, name)] * 2) for name in names},
    )
    found, wanted = calibrated(both), calibrated(held_out)
    torch.testing.assert_close(found.weights, wanted.weights)
    assert (found.factor, found.start) == (wanted.factor, wanted.start)


def test_the_newest_items_come_first() -> None:
    rows = torch.tensor([[4, 5, 6, -1], [7, -1, -1, -1]])
    assert newest_first(rows, 3).tolist() == [[6, 5, 4], [7, -1, -1]]


def _shop(cold: float) -> SequenceDataset:
    """Return shoppers who stay among the items of one first code, after a training event each."""
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
    """The best measurement is that of the calibrated model, and old items lose no recall."""
    data = _shop(cold)
    shape = DualEncoderConfig(
        ("codes", "prefixes"),
        tower=TowerConfig(width=16, feedforward=16, history=5),
        nearness="codes",
    )
    torch.manual_seed(0)
    found = train(lambda: DualEncoder(shape, data), data, TRAINING)
    model = found.model
    assert model.nearness is not None
    assert model.nearness.weights[0, 0] > 0
    quality = model.evaluate(data, "validation")
    for name in ("all", "without_history"):
        measured = found.best.validation[name]  # type: ignore[index]
        assert measured["recall@10"] == quality.metrics(name)["recall@10"]  # type: ignore[arg-type]
    if cold:
        new = data.popularity[data.targets("validation")] == 0
        before = found.model
        with_nearness = quality.of(new).metrics("without_history")["recall@10"]
        torch.nn.init.zeros_(before.nearness.weights)  # type: ignore[union-attr]
        before.fresh.copy_(torch.tensor([1.0, 0.0]))  # type: ignore[union-attr]
        plain = before.evaluate(data, "validation")
        assert with_nearness > plain.of(new).metrics("without_history")["recall@10"]


def test_a_model_without_nearness_has_nothing_to_fit() -> None:
    data = _shop(0.0)
    shape = DualEncoderConfig(("codes",), tower=TowerConfig(width=16, feedforward=16, history=5))
    assert not DualEncoder(shape, data).calibrate(data)
