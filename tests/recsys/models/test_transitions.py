"""What users took after an item is counted in training events, and is added to scores."""

import numpy as np
import pytest
import torch

from recsys.data.dataset import SequenceDataset
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.models.transitions import DISTANCE, FOLLOWERS, MORE, Transitions
from tests.recsys.conftest import dataset_of

SEQUENCES = [[0, 1, 2, 3, 4, 1, 2], [4, 3, 2, 1, 0, 5, 0], [2, 1, 2, 1]]


def _data() -> SequenceDataset:
    return dataset_of(SEQUENCES, 6, [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 2]])


def _expected() -> np.ndarray:
    """Return F (6, 6), pair by pair; the last two events of a user do not train."""
    table, events = np.zeros((6, 6)), np.zeros(6)
    for items in SEQUENCES:
        trained = items[:-2]
        for at, item in enumerate(trained):
            events[item] += 1
            for distance, later in enumerate(trained[at + 1 :], 1):
                table[item, later] += distance**-0.5
    return table / np.sqrt(np.outer(events + MORE, events + MORE))


def test_pairs_of_training_events_count_by_their_distance() -> None:
    transitions = Transitions(_data(), 3, 4)
    found = torch.zeros(6, 6)
    followers, shares = transitions.after(torch.arange(6))
    assert (shares[:, :-1] >= shares[:, 1:]).all()
    found.scatter_add_(1, followers, shares)
    torch.testing.assert_close(found, 2 * torch.from_numpy(_expected()).float())


def test_nobody_took_a_new_item() -> None:
    transitions = Transitions(_data(), 3, 4)
    new = torch.tensor([False, False, True, False, False, False])
    followers, shares = transitions.after(torch.arange(6), new)
    found = torch.zeros(6, 6).scatter_add_(1, followers, shares)
    expected = 2 * torch.from_numpy(_expected()).float()
    expected[2] = expected[:, 2] = 0
    torch.testing.assert_close(found, expected)


def test_the_first_followers_are_kept_and_far_events_do_not_count() -> None:
    """A user's one item before many: the nearest followers stay, the order is that of F."""
    items = 2 * FOLLOWERS
    data = dataset_of([[0, *range(1, items)], [0, *range(1, DISTANCE + 4)]], items)
    followers, shares = Transitions(data, 1, 1).after(torch.tensor(0))
    kept = followers[shares > 0].tolist()
    assert kept == list(range(1, DISTANCE + 1))
    many = dataset_of([[0, item, 1, 1] for item in range(2, items)], items)
    assert int((Transitions(many, 1, 1).after(torch.tensor(0))[1] > 0).sum()) == FOLLOWERS


@torch.no_grad()
def test_what_others_took_next_is_added_to_scores() -> None:
    shape = DualEncoderConfig(("codes",), tower=TowerConfig(width=4, feedforward=8, history=5))
    torch.manual_seed(0)
    plain = DualEncoder(shape, _data()).eval()
    model = DualEncoder(
        DualEncoderConfig(("codes",), tower=shape.tower, transitions=True), _data()
    ).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    histories = torch.tensor([[3, 1, 4], [2, -1, -1]])
    torch.testing.assert_close(model.scores(histories), plain.scores(histories))
    assert model.transitions is not None
    weights = torch.tensor([0.7, 0.5, 0.3, 0.2, 0.1])
    model.transitions.weights.copy_(weights)
    table = 2 * torch.from_numpy(_expected()).float()
    added = torch.stack([0.7 * table[4] + 0.5 * table[1] + 0.3 * table[3], 0.7 * table[2]])
    torch.testing.assert_close(model.scores(histories), plain.scores(histories) + added)
    for each in (plain, model):  # nobody took a new item yet
        each.extend(np.array([[2, 1]], np.uint16), np.array([0], np.uint32))
    new = torch.tensor([[6]])
    torch.testing.assert_close(model.scores(new), plain.scores(new))


@pytest.mark.parametrize("users", [[[0, 1, 2]], [[0, 1], [3]]])
def test_users_without_a_pair_of_training_events_count_nothing(users: list[list[int]]) -> None:
    _, shares = Transitions(dataset_of(users, 4), 2, 4).after(torch.arange(4))
    assert shares.sum() == 0
