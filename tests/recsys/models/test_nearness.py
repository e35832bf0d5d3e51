from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.models.nearness import Nearness
from tests.recsys.conftest import dataset_of

WINDOWS = torch.tensor([[3, 1, 4, 1, 0], [2, 5, -1, -1, -1], [-1] * 5])


def _data() -> SequenceDataset:
    """Return six items with codebooks and vectors; item 5 has no training event."""
    draw = np.random.default_rng(0)
    data = dataset_of(
        [[0, 1, 2, 3, 4, 1, 2], [4, 3, 2, 1, 0, 5, 0]],
        6,
        [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 2]],
    )
    return replace(
        data,
        codebooks=draw.normal(size=(2, 3, 4)).astype(np.float32),
        vectors=draw.normal(size=(6, 5)).astype(np.float32),
    )


def _nearness(source: str = "codes", places: int = 3) -> Nearness:
    nearness = Nearness(_data(), source, places, 9, heads=2)
    torch.manual_seed(0)
    torch.nn.init.normal_(nearness.weights)
    return nearness


@pytest.mark.parametrize("source", ["codes", "content"])
@torch.no_grad()
def test_the_sums_are_those_over_the_last_items(source: str) -> None:
    data, nearness = _data(), _nearness(source)
    vectors = data.decoded if source == "codes" else data.vectors
    assert vectors is not None
    if source == "content":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = vectors - vectors.mean(0)
    unit = torch.from_numpy(centred / np.linalg.norm(centred, axis=1, keepdims=True))
    present = WINDOWS >= 0
    sums = nearness(WINDOWS, present)
    row = 0
    for window in WINDOWS.tolist():
        items = [item for item in window if item >= 0]
        for end in range(len(items)):
            last = items[: end + 1][::-1][:3]
            for head in range(2):
                expected = sum(
                    3 * nearness.weights[head, back] * unit[item] for back, item in enumerate(last)
                )
                torch.testing.assert_close(sums[head, row], expected)
            row += 1
    whole = nearness.of_histories(WINDOWS)
    torch.testing.assert_close(whole[:, 0], sums[:, 4])
    torch.testing.assert_close(whole[:, 1], sums[:, 6])
    assert whole[:, 2].abs().sum() == 0


@torch.no_grad()
def test_a_new_item_has_the_vector_of_its_codes() -> None:
    nearness = _nearness()
    vectors = nearness.get_buffer("vectors")
    nearness.extend(torch.tensor([[1, 1], [0, 1]]))
    torch.testing.assert_close(nearness.get_buffer("vectors")[6:], vectors[[3, 1]])


@torch.no_grad()
def test_an_items_nearness_is_added_to_its_score() -> None:
    """For items without training events by a factor and an offset of their own."""
    config = DualEncoderConfig(
        ("codes", "prefixes"), tower=TowerConfig(width=8, feedforward=8, history=5)
    )
    torch.manual_seed(0)
    plain = DualEncoder(config, _data()).eval()
    model = DualEncoder(replace(config, nearness="codes"), _data()).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    histories = WINDOWS[:2]
    torch.testing.assert_close(model.scores(histories), plain.scores(histories))
    assert model.nearness is not None
    assert model.fresh is not None
    torch.nn.init.normal_(model.nearness.weights)
    model.fresh.copy_(torch.tensor([3.0, 0.5]))
    vectors, near = model.nearness.get_buffer("vectors"), torch.zeros(2, 6)
    for user, history in enumerate(histories.tolist()):
        items = [item for item in history if item >= 0][::-1]
        for back, item in enumerate(items):
            cosines = vectors @ vectors[item]
            cosines[item] = 0  # an item's nearness to itself does not count
            near[user] += 8**0.5 * model.nearness.weights[0, back] * cosines
    near[:, 5] = 3 * near[:, 5] + 0.5 * 8**0.5
    torch.testing.assert_close(model.scores(histories), plain.scores(histories) + near)
    model.extend(np.array([[2, 2]], np.uint16), np.array([1], np.uint32))
    scores = model.scores(histories)
    torch.testing.assert_close(scores[0, 6], scores[0, 5])


def test_the_loss_is_that_of_the_scores_without_nearness() -> None:
    """The softmax is over the scores that are served, of the items that have a training event."""
    config = DualEncoderConfig(
        ("codes", "prefixes"),
        tower=TowerConfig(width=8, feedforward=8, dropout=0.0, history=7, repeats=True),
        nearness="codes",
    )
    data = _data()
    torch.manual_seed(0)
    model = DualEncoder(config, data)
    assert model.nearness is not None
    assert model.repeats is not None
    torch.nn.init.constant_(model.repeats.weight, 0.3)
    examples = model.examples(data)
    losses = []
    for example in examples:
        items = example[example >= 0]
        for end in range(1, len(items)):
            scores = model.scores(items[None, :end])[0, :5]  # item 5 has no training event
            losses.append(-scores.log_softmax(0)[items[end]])
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(model.loss(examples), expected)
    torch.nn.init.normal_(model.nearness.weights)  # fitted after the training: no part of the loss
    found, wanted = (
        torch.autograd.grad(loss, model.repeats.weight)[0]
        for loss in (model.loss(examples), expected)
    )
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_rows_of_dropped_items_do_not_train() -> None:
    config = DualEncoderConfig(
        ("codes", "prefixes", "dense"),
        tower=TowerConfig(width=8, feedforward=8, dropout=0.0, history=5),
        drop_rows=0.999999,
    )
    torch.manual_seed(0)
    model = DualEncoder(config, _data())
    assert model.items.prefixes is not None
    model(model.examples(_data())).backward()
    assert model.items.dense is not None
    for rows in (model.items.dense, model.items.prefixes.table):
        assert rows.grad is None or rows.grad.abs().sum() == 0
    assert model.items.levels is not None
    assert model.items.levels.grad is not None
    assert model.items.levels.grad.abs().sum() > 0


def test_unusable_input_is_refused() -> None:
    with pytest.raises(InputError, match="nearness from 'titles'; choose from codes, content"):
        Nearness(_data(), "titles", 3, 8)
    with pytest.raises(InputError, match="needs the codewords"):
        Nearness(replace(_data(), codebooks=None), "codes", 3, 8)
    with pytest.raises(InputError, match="no content vectors"):
        Nearness(replace(_data(), vectors=None), "content", 3, 8)


def test_nearness_goes_with_a_softmax_over_the_batch() -> None:
    """It is fitted after the training, so the loss does not matter."""
    tower = TowerConfig(width=8, feedforward=8, history=5)
    config = DualEncoderConfig(("codes",), "projected", "in_batch", tower, nearness="codes")
    model = DualEncoder(config, _data())
    assert model.loss(model.examples(_data())).isfinite()
    model.calibrate(_data())
    assert model.nearness is not None
    assert model.nearness.weights.isfinite().all()
