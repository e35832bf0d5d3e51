from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import evaluate
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import LOSSES, OUTPUTS, DualEncoder, DualEncoderConfig
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of

TOWER = TowerConfig(width=16, layers=2, heads=2, feedforward=32, dropout=0.5, history=8)
TINY = DualEncoderConfig(tower=TOWER)
PARTS = [("dense",), ("codes",), ("content",), ("codes", "dense"), ("codes", "dense", "content")]


def _model(dataset: SequenceDataset, config: DualEncoderConfig = TINY) -> DualEncoder:
    torch.manual_seed(0)
    model = DualEncoder(config, dataset).eval()
    if model.repeats is not None:
        torch.nn.init.constant_(model.repeats.weight, -0.7)
    return model


def _batch(dataset: SequenceDataset) -> Tensor:
    return torch.from_numpy(dataset.histories("test", TOWER.history))[:32]


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("parts", PARTS)
def test_the_loss_is_cross_entropy_over_the_items_seen_in_training(
    dataset: SequenceDataset, parts: tuple[str, ...], outputs: str, repeats: bool
) -> None:
    """The reference scores each prefix of each window on its own and takes the mean."""
    tower = replace(TOWER, repeats=repeats)
    model = _model(dataset, replace(TINY, parts=parts, outputs=outputs, tower=tower))
    unseen = torch.from_numpy(dataset.popularity == 0)
    assert unseen.any()
    windows = torch.from_numpy(dataset.training_windows(TOWER.history))[:6]
    losses = []
    for window in windows:
        real = window[window >= 0]
        for end in range(1, len(real)):
            scores = model.scores(real[None, :end]).masked_fill(unseen, -torch.inf)
            losses.append(functional.cross_entropy(scores, real[end : end + 1]))
    assert model.loss(windows).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_scores_are_the_products_of_the_towers(dataset: SequenceDataset, outputs: str) -> None:
    model, histories = _model(dataset, replace(TINY, outputs=outputs)), _batch(dataset)
    products = model.user_vectors(histories) @ model.item_vectors().T
    torch.testing.assert_close(model.scores(histories), products)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_the_items_of_the_history_get_the_repeat_score(
    dataset: SequenceDataset, outputs: str
) -> None:
    tower = replace(TOWER, repeats=True)
    model, histories = (
        _model(dataset, replace(TINY, outputs=outputs, tower=tower)),
        _batch(dataset),
    )
    products = model.user_vectors(histories) @ model.item_vectors().T
    for row, history in enumerate(histories):
        products[row, history[history >= 0].unique()] -= 0.7 * 16**0.5
    torch.testing.assert_close(model.scores(histories), products)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_an_item_that_came_later_is_scored_by_its_codes(
    dataset: SequenceDataset, outputs: str
) -> None:
    """It scores as an item of the catalogue with these codes and no events."""
    assert dataset.codes is not None
    model = _model(dataset, replace(TINY, outputs=outputs))
    unseen = (dataset.popularity == 0).nonzero()[0]
    before = model.item_vectors()
    model.extend(dataset.codes[unseen], np.ones(len(unseen), dtype=np.uint32))
    torch.testing.assert_close(model.item_vectors(), torch.cat([before, before[unseen]]))
    beyond = np.full((1, 3), dataset.codebook_size, dtype=np.uint16)
    assert not model.accepts(beyond, np.zeros(1, dtype=np.uint32)).any()
    with pytest.raises(InputError, match="a code is beyond its codebook"):
        model.extend(beyond, np.zeros(1, dtype=np.uint32))
    content = _model(dataset, replace(TINY, parts=("content", "codes"), outputs=outputs))
    assert not content.accepts(dataset.codes, np.zeros(dataset.n_items, dtype=np.uint32)).any()
    with pytest.raises(InputError, match="does not read codes alone"):
        content.extend(dataset.codes, np.zeros(dataset.n_items, dtype=np.uint32))


@pytest.mark.parametrize("loss", LOSSES)
def test_unseen_items_are_ranked_by_what_their_codes_learnt(loss: str) -> None:
    """Items are followed by items of the next first code; unseen items are found by their codes."""
    draw = torch.Generator().manual_seed(0)
    codes = [[item // 8, item % 8] for item in range(64)]
    rows = []
    for user in range(500):
        first, row = user % 8, []
        for place in range(7):
            low = 8 * ((first + place) % 8)
            kept = 7 if place < 5 else 8  # the last of each eight is only a test item
            row.append(low + int(torch.randint(kept, (), generator=draw)))
        rows.append(row)
    data = dataset_of(rows, 64, codes)
    assert (data.popularity == 0).sum() == 8
    config = replace(TINY, parts=("codes",), loss=loss, tower=replace(TOWER, width=32, dropout=0.1))
    learnt = train(
        lambda: DualEncoder(config, data),
        data,
        TrainingConfig(epochs=40, batch_size=64, learning_rate=5e-3, warmup_steps=10),
    )
    found = evaluate(learnt.model.scores, data, "test", TOWER.history)
    unseen = data.popularity[data.targets("test")] == 0
    assert unseen.sum() > 30
    for group in (unseen, ~unseen):
        assert (found.ranks["all"][group] <= 8).mean() > 0.8


def test_unusable_configurations_are_refused(dataset: SequenceDataset) -> None:
    for wrong, message in [
        (
            replace(TINY, loss="in_batch", tower=replace(TOWER, repeats=True)),
            "repeats cannot be learnt by loss in_batch",
        ),
        (replace(TINY, loss="hinge"), "loss 'hinge'; choose from full, in_batch"),
        (replace(TINY, outputs="shared"), "outputs 'shared'; choose from tied, projected, untied"),
    ]:
        with pytest.raises(InputError, match=message):
            DualEncoder(wrong, dataset)
    model = _model(dataset)
    with pytest.raises(ValueError, match="1 to 8 items"):
        model.user_vectors(torch.full((2, 3), -1))
