from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import CANDIDATES, evaluate, target_ranks
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.models.baselines import Popularity
from recsys.models.causal_transformer import TowerConfig
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of, in_order

ITEMS = 50
TOWER = TowerConfig(width=16, heads=2, feedforward=32, dropout=0.0, history=4)
TINY = GeneratorConfig(
    tower=TOWER, code_dropout=0.0, headroom=0, beams=ITEMS, validation_beams=10
)  # fmt: skip
HISTORIES = torch.tensor([[1, 2, -1], [3, 4, 5], [49, -1, -1]])


def _coded(seed: int = 0) -> SequenceDataset:
    """Return shoppers of 50 items with codebooks; item 49 has no training event."""
    data = in_order()
    books = np.random.default_rng(seed).normal(size=(2, 5, 6)).astype(np.float32)
    events = np.where(data.events == 49, 48, data.events)
    return replace(data, codebooks=books, events=events)


def _model(config: GeneratorConfig = TINY, data: SequenceDataset | None = None) -> Generator:
    torch.manual_seed(0)
    model = Generator(config, _coded() if data is None else data)
    if model.nearness is not None:
        torch.nn.init.normal_(model.nearness.weights)
    return model.eval()


CONFIGS = (
    TINY,
    replace(TINY, nearness="codes", rows_to=1),
    replace(TINY, nearness="codes", headroom=3, code_layers=1),
)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_probabilities_of_all_items_sum_to_one(config: GeneratorConfig) -> None:
    model = _model(config)
    found = model.recommend(HISTORIES, ITEMS)
    assert found.items.sort(1).values.tolist() == [list(range(ITEMS))] * 3
    torch.testing.assert_close(found.scores.exp().sum(1), torch.ones(3))
    for rank in (0, 7, 49):
        exact = model.log_probabilities(HISTORIES, found.items[:, rank])
        torch.testing.assert_close(exact, found.scores[:, rank])


@pytest.mark.parametrize("config", CONFIGS)
def test_the_loss_is_that_of_the_items_one_by_one(config: GeneratorConfig) -> None:
    """With every item seen in training, the loss is −log of the probability that is served."""
    data = replace(in_order(), codebooks=_coded().codebooks)
    model = _model(config, data)
    examples = model.examples(data)[:40]
    logs = []
    for example in examples:
        items = example[example >= 0]
        for end in range(1, len(items)):
            past = items[:end].unsqueeze(0)
            logs.append(model.log_probabilities(past, items[end : end + 1]).item())
    assert model.loss(examples).item() == pytest.approx(-np.mean(logs), rel=1e-4)
    smoothed = _model(replace(config, smoothing=0.2), data)
    assert smoothed.loss(examples).item() != pytest.approx(model.loss(examples).item(), rel=1e-4)


def test_an_item_without_events_is_nobodys_sibling_in_training() -> None:
    """No code of item 49 alone gets a gradient, and the seen items' probabilities sum to one."""
    data = dataset_of([[0, 1, 2, 1], [1, 2, 0, 0]], 4, [[0, 0], [0, 1], [1, 0], [2, 2]])
    model = _model(TINY, data).train()
    model.loss(model.examples(data)).backward()
    gradient = model.nodes.of_codes.rows.grad
    assert gradient is not None
    assert gradient[2].abs().sum() == 0
    assert gradient[1].abs().sum() > 0


@torch.no_grad()
def test_ranks_equal_those_of_scoring_every_item() -> None:
    data = _coded()
    model = _model(CONFIGS[1], data)
    users = np.array([149, 3, 88])
    found = model.evaluate(data, "test", users)
    histories = torch.from_numpy(data.histories("test", model.history, users))
    every = [model.log_probabilities(histories, torch.full((3,), item)) for item in range(ITEMS)]
    targets = torch.from_numpy(data.targets("test")[users])
    before = torch.from_numpy(data.histories("test", None, users))
    expected = target_ranks(torch.stack(every, 1), targets, before)
    for name in CANDIDATES:
        assert found.ranks[name].tolist() == expected[name].tolist()


def test_a_search_keeps_to_the_candidates_and_leaves_items_out() -> None:
    model = _model(CONFIGS[1])
    whole = model.recommend(HISTORIES, ITEMS)
    candidates = torch.tensor([3, 4, 5, 30, 49])
    excluded = torch.tensor([[3, 4, -1], [30, 49, 12], [-1, -1, -1]])
    for beams in (5, ITEMS):
        found = model.recommend(HISTORIES, 5, excluded, candidates, beams=beams)
        for user, (items, logs) in enumerate(zip(*found, strict=True)):
            allowed = set(candidates.tolist()) - set(excluded[user].tolist())
            expected = [
                (item, log)
                for item, log in zip(
                    whole.items[user].tolist(), whole.scores[user].tolist(), strict=True
                )
                if item in allowed
            ]
            told = [item for item in items.tolist() if item >= 0]
            assert told == [item for item, _ in expected]
            assert logs[: len(told)].tolist() == pytest.approx([log for _, log in expected])


@pytest.mark.parametrize("config", CONFIGS[1:])
def test_new_items_join_without_training(config: GeneratorConfig) -> None:
    """They can be written and read, and a model built with them at once says the same of them."""
    model = _model(replace(config, headroom=3))
    codes, suffixes = np.array([[0, 0], [4, 4]], np.uint16), np.array([2, 2], np.uint32)
    assert model.accepts(codes, suffixes).tolist() == [True, True]
    model.extend(codes, suffixes)
    assert not model.accepts(codes, suffixes).any()
    assert not model.accepts(np.array([[0, 5]], np.uint16), np.array([0], np.uint32)).any()
    histories = torch.tensor([[1, 50, -1], [51, 4, 5]])
    found = model.recommend(histories, 52, beams=60)
    assert found.items.sort(1).values.tolist() == [list(range(52))] * 2
    torch.testing.assert_close(found.scores.exp().sum(1), torch.ones(2))
    with pytest.raises(InputError, match="known item has it"):
        model.extend(codes, suffixes)


def test_dropped_items_have_no_rows_of_their_own() -> None:
    """Only prefixes whose every item is dropped lose their row."""
    data = dataset_of([[0, 1, 2, 3, 0, 0], [1, 2, 3, 0, 1, 1]], 4, [[0, 0], [0, 1], [1, 0], [2, 2]])
    data = replace(data, suffixes=np.zeros(4, np.uint32))
    model = _model(replace(TINY, headroom=2), data)
    whole = model.nodes(model.tree)
    fewer = model.nodes(model.tree, torch.tensor([True, False, False, True]))
    changed = [(a != b).any(1).tolist() for a, b in zip(whole, fewer, strict=True)]
    assert changed == [[False] * 3, [True, False, False, True], [False] * 4]


def test_it_learns_a_fixed_order_of_items() -> None:
    data = _coded()
    popular = evaluate(Popularity(data).scores, data, "validation")
    config = TrainingConfig(
        epochs=8, batch_size=32, learning_rate=1e-2, warmup_steps=20, evaluate_every=4
    )
    shape = replace(TINY, nearness="codes", drop_rows=0.1)
    best = train(lambda: Generator(shape, data), data, config).best
    for name in CANDIDATES:
        assert best.validation[name]["ndcg@10"] > 2 * popular.metrics(name)["ndcg@10"]
        assert best.validation[name]["ndcg@10"] > 0.6


def test_one_code_of_its_own_an_item_is_a_dense_id() -> None:
    data = dataset_of([[0, 1, 2, 3], [3, 2, 1, 0]], 4, [[0], [1], [2], [3]])
    model = _model(TINY, data)
    found = model.recommend(torch.tensor([[0, 1]]), 4)
    torch.testing.assert_close(found.scores.exp().sum(1), torch.ones(1))


def test_unusable_input_is_refused() -> None:
    data = in_order(8)
    with pytest.raises(InputError, match="no codes"):
        Generator(TINY, replace(data, codes=None))
    with pytest.raises(InputError, match="beams is 4; at least 5"):
        Generator(replace(TINY, validation_beams=4), data)
    with pytest.raises(InputError, match="is given twice, to items 0 and 25"):
        Generator(TINY, replace(data, suffixes=None))
    with pytest.raises(InputError, match="needs the codewords"):
        Generator(replace(TINY, nearness="codes"), data)
    model = _model()
    for histories in (torch.tensor([[1, 2], [-1, -1]]), torch.ones(1, 5, dtype=torch.long)):
        with pytest.raises(ValueError, match="1 to 4 items"):
            model.recommend(histories)
    with pytest.raises(InputError, match="top is 0"):
        model.recommend(HISTORIES, 0)
