"""Found items are reranked by what users took next; how much is fitted on validation users."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.data.dataset import SequenceDataset
from recsys.generation.beam_search import FoundItems
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.reranking import Reranker
from recsys.models.causal_transformer import TowerConfig
from recsys.training.config import TrainingConfig
from recsys.training.loop import train
from tests.recsys.conftest import dataset_of, in_order

TOWER = TowerConfig(width=16, heads=2, feedforward=32, dropout=0.0, history=4)
SHAPE = GeneratorConfig(
    tower=TOWER, code_dropout=0.0, headroom=2, beams=12, validation_beams=10, transitions=True
)
HISTORIES = torch.tensor([[1, 2, -1], [3, 4, 5], [49, -1, -1]])


def _coded() -> SequenceDataset:
    books = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    return replace(in_order(), codebooks=books)


def _model(after: float = 0.0, own: float = 0.0) -> Generator:
    torch.manual_seed(0)
    model = Generator(SHAPE, _coded()).eval()
    assert model.reranker is not None
    model.reranker.transitions.weights.fill_(after)
    model.reranker.own.fill_(own)
    return model


def _expected(model: Generator, histories: torch.Tensor, found: FoundItems) -> list[list[float]]:
    """Return the reranked scores of found items, one by one."""
    reranker = model.reranker
    assert reranker is not None
    rows = []
    for history, items, logs in zip(
        histories.tolist(), *map(torch.Tensor.tolist, found), strict=True
    ):
        own = [item for item in history if item >= 0]
        row = []
        for item, log in zip(items, logs, strict=True):
            score = log + reranker.own.item() * (item in own)
            for place, before in enumerate(own[::-1]):
                followers, shares = reranker.transitions.after(torch.tensor(before))
                weight = reranker.transitions.weights[place].item()
                score += weight * float(shares[followers == item].sum())
            row.append(score)
        rows.append(row)
    return rows


def test_without_fitted_weights_nothing_changes() -> None:
    model, plain = _model(), Generator(replace(SHAPE, transitions=False), _coded()).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    for mine, wanted in zip(model.recommend(HISTORIES), plain.recommend(HISTORIES), strict=True):
        assert torch.equal(mine, wanted)


@torch.no_grad()
def test_the_scores_of_found_items_count_transitions_and_own_items() -> None:
    """What the beams find is sorted anew; the first of it is told, and excluded items never are."""
    model = _model(after=2.0, own=-3.0)
    excluded = torch.tensor([[2, 3], [-1, -1], [0, 1]])
    for left_out in (None, excluded):
        plain = _model().recommend(HISTORIES, SHAPE.beams, left_out)
        scores = torch.tensor(_expected(model, HISTORIES, plain))
        assert scores.argsort(1, descending=True).tolist() != [[*range(SHAPE.beams)]] * 3
        found = model.recommend(HISTORIES, 5, left_out)
        best = scores.topk(5)
        torch.testing.assert_close(found.scores, best.values)
        assert torch.equal(found.items, plain.items.gather(1, best.indices))


def test_places_without_an_item_stay_last() -> None:
    found = _model(after=2.0, own=3.0).recommend(
        HISTORIES, 6, candidates=torch.tensor([1, 3, 4, 5])
    )
    assert (found.items[:, :4] >= 0).all()
    assert found.items[:, 4:].tolist() == [[-1, -1]] * 3
    assert found.scores[:, 4:].isneginf().all()


def _taken(
    after: float, own: float = 0.0, users: int = 4000, listed: int = 20, sharp: float = 1.0
) -> tuple[Reranker, tuple[torch.Tensor, ...]]:
    """Return a reranker, and users who take a found item with the probability of these weights.

    Args:
        listed: found items of each user.
        sharp: what the scores are multiplied by.
    """
    data = in_order()
    reranker = Reranker(data, 4, 16)
    draw = torch.Generator().manual_seed(0)
    histories = torch.randint(data.n_items, (users, 3), generator=draw)
    items = torch.rand(users, data.n_items, generator=draw).argsort(1)[:, :listed]
    logs = torch.randn(users, listed, generator=draw)
    reranker.transitions.weights.copy_(torch.tensor([after, after / 2, 0.0, 0.0]))
    reranker.own.fill_(own)
    at_zero = reranker(histories, FoundItems(items, torch.zeros(users, listed)))
    back = at_zero.items.argsort(1).gather(1, items.argsort(1).argsort(1))
    scores = logs + at_zero.scores.gather(1, back)
    column = torch.multinomial((sharp * scores).softmax(1), 1, generator=draw)
    targets = items.gather(1, column).squeeze(1)
    reranker.transitions.weights.zero_()
    reranker.own.zero_()
    return reranker, (histories, items, logs, targets)


@pytest.mark.parametrize(("listed", "sharp"), [(20, 1.0), (8, 1.0), (20, 3.0)])
def test_the_fit_finds_the_weights_by_which_users_chose(listed: int, sharp: float) -> None:
    """Also in lists of fewer than ten, and where users are surer than the generator says."""
    reranker, (histories, items, logs, targets) = _taken(3.0, -2.0, 4000, listed, sharp)
    reranker.fit(histories, FoundItems(items, logs), targets)
    weights = reranker.transitions.weights
    assert 1 < weights[0] < 6
    assert weights[0] > 1.4 * weights[1] > 0
    assert abs(weights[2:]).max() < weights[0] / 3
    assert -2.6 < reranker.own < -1.4


def test_users_whose_item_was_not_found_do_not_count() -> None:
    """Nor does a list's missing item; with no user left nothing is fitted."""
    reranker, (histories, items, logs, targets) = _taken(after=3.0, own=0.0, users=500)
    gone = torch.full_like(items, -1), torch.full_like(logs, -torch.inf)
    reranker.fit(histories, FoundItems(*gone), targets)
    assert not reranker.transitions.weights.any()
    assert not reranker.own
    reranker.fit(histories, FoundItems(items, logs), targets)
    fitted = reranker.transitions.weights.clone()
    more = FoundItems(torch.cat([items, gone[0]]), torch.cat([logs, gone[1]]))
    reranker.fit(histories.repeat(2, 1), more, targets.repeat(2))
    torch.testing.assert_close(reranker.transitions.weights, fitted)
    longer = FoundItems(torch.cat([items, gone[0]], 1), torch.cat([logs, gone[1]], 1))
    reranker.fit(histories, longer, targets)
    torch.testing.assert_close(reranker.transitions.weights, fitted)
    assert fitted[0] > 0.5


def test_what_does_not_help_to_rank_does_not_count() -> None:
    """Users who choose against the transitions get a weight that is not positive."""
    reranker, (histories, items, logs, targets) = _taken(after=-3.0, own=0.0)
    reranker.fit(histories, FoundItems(items, logs), targets)
    assert reranker.transitions.weights[0] < 0


def test_what_makes_targets_likelier_but_moves_them_back_does_not_count() -> None:
    """Item 1 follows item 0. Nine of ten users take the tenth item of their list, just before 1.

    The others take item 1, which no weight brings among the first ten; a weight makes it likelier.
    """
    data = dataset_of([[0, 1, 0, 1, 2, 2]] * 5, 12)
    reranker = Reranker(data, 4, 16)
    items = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 1]]).repeat(100, 1)
    logs = torch.tensor([[10.0] * 9 + [0.0, -0.01]]).repeat(100, 1)
    logs[:10, -1] = -20.0
    targets = torch.tensor([1] * 10 + [2] * 90)
    found = FoundItems(items, logs)
    histories = torch.zeros(100, 1, dtype=torch.long)
    reranker.fit(histories, found, targets)
    assert reranker(histories, found).items[10:, 9].tolist() == [2] * 90


def test_one_user_tells_little() -> None:
    reranker, (histories, items, logs, targets) = _taken(3.0)
    user = int((reranker._features(histories, targets[:, None])[:, 0, 0] > 0).nonzero()[0])
    one = slice(user, user + 1)
    reranker.fit(histories[one], FoundItems(items[one], logs[one]), targets[one])
    assert 0 < reranker.transitions.weights[0] < 1.5


def test_a_training_ends_with_the_fit_and_measures_with_it() -> None:
    """Users move from item to item; a short training learns that less well than counts tell it."""
    data = _coded()
    config = TrainingConfig(epochs=2, patience=2, batch_size=64, warmup_steps=5)
    fitted = train(lambda: Generator(SHAPE, data), data, config)
    plain = train(lambda: Generator(replace(SHAPE, transitions=False), data), data, config)
    mine, without = (each.best.validation["all"]["ndcg@10"] for each in (fitted, plain))
    assert mine > without + 0.05
    own = fitted.model.reranker
    assert own is not None
    assert own.transitions.weights[0] > 0


def test_new_items_join_without_transitions() -> None:
    model = _model(after=2.0)
    model.extend(np.array([[0, 0]], np.uint16), np.array([2], np.uint32))
    found = model.recommend(torch.tensor([[50, -1], [1, 50]]), 51, beams=60)
    assert found.items.sort(1).values.tolist() == [[*range(51)]] * 2


def test_one_item_that_follows_is_first() -> None:
    rows = [[0, 1, 2, 3], [0, 1, 3, 2], [2, 3, 0, 1]]
    data = dataset_of(rows, 4, [[0], [1], [2], [3]])
    model = Generator(replace(SHAPE, beams=10), data).eval()
    assert model.reranker is not None
    model.reranker.transitions.weights[0] = 1000.0
    assert model.recommend(torch.tensor([[0]]), 1, beams=4).items.tolist() == [[1]]


@pytest.mark.parametrize("count", [1, 3])
def test_short_histories_have_fewer_places(count: int) -> None:
    shape = replace(SHAPE, tower=replace(TOWER, history=count))
    model = Generator(shape, _coded()).eval()
    assert model.reranker is not None
    assert len(model.reranker.transitions.weights) == count
