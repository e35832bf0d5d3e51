from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.models.causal_transformer import TowerConfig
from recsys.models.sasrec import Sasrec

TINY = TowerConfig(width=16, layers=2, heads=2, feedforward=32, dropout=0.5, history=8)


@pytest.fixture
def model(dataset: SequenceDataset) -> Sasrec:
    torch.manual_seed(0)
    return Sasrec(TINY, dataset).eval()


def _states(model: Sasrec, items: Tensor) -> Tensor:
    """Return the state (n, d) after each of n items without padding."""
    states: Tensor = model.tower(
        model.items[items.flatten()], torch.ones_like(items, dtype=torch.bool)
    )
    return states


def test_later_items_do_not_change_earlier_states(dataset: SequenceDataset, model: Sasrec) -> None:
    """Later items are replaced, or cut off."""
    items = torch.randint(dataset.n_items, (5, 8))
    states = _states(model, items).view(5, 8, -1)
    for cut in range(1, 8):
        exchanged = items.clone()
        exchanged[:, cut:] = (items[:, cut:] + 1) % dataset.n_items
        changed = _states(model, exchanged).view(5, 8, -1)
        assert torch.equal(states[:, :cut], changed[:, :cut])
        assert (states[:, cut:] - changed[:, cut:]).abs().amax(2).min() > 1e-4
        alone = _states(model, items[:, :cut]).view(5, cut, -1)
        torch.testing.assert_close(alone, states[:, :cut])


def test_padding_and_the_rest_of_the_batch_change_nothing(
    dataset: SequenceDataset, model: Sasrec
) -> None:
    histories = torch.from_numpy(dataset.histories("test", TINY.history))[:32]
    scores = model.scores(histories)
    for row, history in enumerate(histories):
        alone = model.scores(history[history >= 0][None])
        torch.testing.assert_close(alone[0], scores[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("repeats", [False, True])
def test_the_loss_is_cross_entropy_at_every_position(
    dataset: SequenceDataset, repeats: bool
) -> None:
    """The reference scores each prefix of each window on its own and takes the mean."""
    torch.manual_seed(0)
    model = Sasrec(replace(TINY, repeats=repeats), dataset).eval()
    if model.repeats is not None:
        torch.nn.init.constant_(model.repeats.weight, -0.7)
    windows = torch.from_numpy(dataset.training_windows(TINY.history))[:6]
    losses = []
    for window in windows:
        real = window[window >= 0]
        for end in range(1, len(real)):
            scores = model.scores(real[None, :end])
            losses.append(functional.cross_entropy(scores, real[end : end + 1]))
    assert model.loss(windows).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_histories_that_cannot_be_read_are_refused(model: Sasrec) -> None:
    with pytest.raises(ValueError, match="1 to 8 items"):
        model.scores(torch.tensor([[1, 2], [-1, -1]]))
    with pytest.raises(ValueError, match="1 to 8 items"):
        model.scores(torch.ones(1, 9, dtype=torch.long))
