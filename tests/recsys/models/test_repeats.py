from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.data.dataset import SequenceDataset
from recsys.data.histories import items_until
from recsys.models.causal_transformer import TowerConfig
from recsys.models.repeats import RepeatScore
from recsys.models.sasrec import Sasrec
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of

TOWER = TowerConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.1, repeats=True)


@pytest.mark.parametrize("again", [False, True])
def test_whether_users_return_to_items_is_learnt(again: bool) -> None:
    """Users take new items out of 60 each time, or the same three in turn."""
    draw = np.random.default_rng(0)
    rows = [draw.permutation(60)[: 3 if again else 12].tolist() for _ in range(300)]
    data = dataset_of([(row * 4)[:12] for row in rows], 60)
    plain, learnt = (_trained(data, replace(TOWER, repeats=wanted)) for wanted in (False, True))
    assert learnt.repeats is not None
    number = learnt.repeats.weight.item()
    recall, before = (m.evaluate(data, "test").metrics()["recall@10"] for m in (learnt, plain))
    if again:
        assert number > 0
        assert recall > before + 0.05
    else:
        assert number < -0.2
        assert recall > before


def _trained(data: SequenceDataset, config: TowerConfig) -> Sasrec:
    learning = TrainingConfig(epochs=8, batch_size=32, learning_rate=2e-2, warmup_steps=10)
    return train(lambda: Sasrec(config, data), data, learning).model


def test_an_item_counts_once_and_padding_not_at_all() -> None:
    score = RepeatScore(16)
    torch.nn.init.constant_(score.weight, 0.25)
    added = score(torch.tensor([[3, 3, 1], [-1, -1, -1], [0, -1, -1]])).added_to(torch.zeros(3, 5))
    assert added.tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_each_prediction_knows_what_came_before_it() -> None:
    rows = torch.tensor([[7, 8, 9], [4, 5, -1]])
    assert items_until(rows, rows >= 0).tolist() == [
        [7, -1, -1],
        [7, 8, -1],
        [7, 8, 9],
        [4, -1, -1],
        [4, 5, -1],
    ]
