"""The dual encoder for search: what its towers read, its loss, and that it learns a structure."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from data_prep.errors import InputError
from recsys.models.causal_transformer import TowerConfig
from recsys.search.data.dataset import SearchDataset
from recsys.search.model import SearchConfig, SearchModel, query_rows
from recsys.search.ranking import list_metrics, means
from recsys.search.retrieval import model_lists, model_scores, user_vectors
from recsys.search.training import SearchTraining, train_search
from tests.recsys.search.planted import planted

TOWER = TowerConfig(width=32, layers=1, heads=2, feedforward=64, dropout=0.0, history=6)
CODES = SearchConfig(tower=TOWER)
FAST = SearchTraining(epochs=15, batch_size=64, learning_rate=1e-2, warmup_steps=10)


@pytest.fixture(scope="module")
def data() -> SearchDataset:
    return planted()


def _test(shape: SearchConfig, data: SearchDataset, training: SearchTraining = FAST) -> float:
    model = train_search(shape, data, training).model
    requests = data.requests("test")
    found = list_metrics(model_lists(model, data, requests, 10), data, requests, (1, 10))
    return means(found)["recall@1"]


@pytest.mark.parametrize("loss", ["in_batch", "full"])
def test_the_history_tells_the_shop(data: SearchDataset, loss: str) -> None:
    """The query names five items; which of them, only the history tells."""
    with_history = _test(replace(CODES, loss=loss), data)
    without = _test(replace(CODES, loss=loss, history=False), data)
    assert with_history > 0.9
    assert 0.1 < without < 0.4


def test_content_tells_it_too(data: SearchDataset) -> None:
    assert _test(replace(CODES, parts=("content",)), data) > 0.9


def test_dense_ids_learn_what_a_query_means(data: SearchDataset) -> None:
    """Which shop an item is of, they would have to learn for each item from a few users."""
    assert _test(replace(CODES, parts=("dense",)), data) > 0.1


def test_wrong_codes_cannot_be_right(data: SearchDataset) -> None:
    assert data.codes is not None
    shuffled = np.random.default_rng(0).permutation(data.codes[:, 0] * 0 + 1)
    blind = replace(data, codes=np.stack([shuffled, shuffled], axis=1))
    assert _test(CODES, blind) < 0.1


def test_a_seed_decides_the_result(data: SearchDataset) -> None:
    short = replace(FAST, epochs=2)
    first, second = (train_search(CODES, data, short).best.validation for _ in range(2))
    assert first == second
    assert train_search(CODES, data, replace(short, seed=1)).best.validation != first


def test_the_best_state_is_kept_and_training_stops_without_improvement(
    data: SearchDataset,
) -> None:
    steps: list[int] = []
    result = train_search(
        CODES,
        data,
        replace(FAST, epochs=60, patience=2, monitor="recall@10"),
        progress=lambda step, total, measured: steps.append(step),
    )
    figures = [each.validation["recall@10"] for each in result.history]
    assert result.best.validation["recall@10"] == max(figures)
    assert len(figures) < 60
    assert steps[-1] == result.history[-1].step
    assert train_search(CODES, data, replace(FAST, steps=3)).history[-1].step == 3


def test_a_users_vector_does_not_depend_on_its_company(data: SearchDataset) -> None:
    torch.manual_seed(0)
    model = SearchModel(CODES, data).eval()
    requests = data.requests("test")[:40]
    together = user_vectors(model, data, requests)
    alone = torch.cat([user_vectors(model, data, row[None]) for row in requests])
    assert together.numpy() == pytest.approx(alone.numpy(), abs=1e-5)
    everything = model.items.all_candidates()
    scores = model_scores(model, data, requests)
    targets = [int(data.judged[data.judgements(row)][0]) for row in requests.tolist()]
    wanted = (together * everything[targets]).sum(1)
    assert scores == pytest.approx(wanted.detach().numpy(), abs=1e-5)


def test_a_request_may_lack_a_query_or_a_history(data: SearchDataset) -> None:
    torch.manual_seed(0)
    model = SearchModel(CODES, data).eval()
    vectors, _ = query_rows(data, torch.arange(2))
    history = torch.tensor([[3, 4], [-1, -1]])
    users = model.users(vectors, torch.tensor([False, True]), history)
    other = model.users(vectors + 1, torch.tensor([False, True]), history)
    assert users[0].equal(other[0])
    assert not users[1].equal(other[1])
    with pytest.raises(ValueError, match="a query, or a history of up to 6"):
        model.users(vectors, torch.tensor([False, False]), history)
    with pytest.raises(ValueError, match="a query, or a history of up to 6"):
        model.users(vectors, torch.tensor([True, True]), torch.zeros(2, 7, dtype=torch.long))


def test_in_batch_loss_corrects_popularity_and_spares_other_answers(data: SearchDataset) -> None:
    torch.manual_seed(0)
    model = SearchModel(CODES, data).eval()
    requests = torch.tensor([0, 0, 2])
    targets = torch.tensor([5, 9, 5])
    vectors, asked = query_rows(data, requests)
    histories = torch.from_numpy(data.histories(requests.numpy(), 6))
    found = model.loss(vectors, asked, histories, targets, requests)
    users = model.users(vectors, asked, histories)
    share = torch.from_numpy(data.popularity / data.popularity.sum()).log().float()
    logits = users @ model.items.candidates(torch.tensor([5, 9])).T - share[[5, 9]]
    logits[0, 1] = logits[1, 0] = -torch.inf  # both items answer request 0
    wanted = functional.cross_entropy(logits, torch.tensor([0, 1, 0]))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_what_is_missing_or_wrong_is_refused(data: SearchDataset) -> None:
    with pytest.raises(InputError, match="the data has no codes"):
        SearchModel(CODES, data.without_codes())
    with pytest.raises(InputError, match="no content vectors"):
        SearchModel(replace(CODES, parts=("content",)), replace(data, vectors=None))
    with pytest.raises(InputError, match="no vectors of queries"):
        SearchModel(CODES, replace(data, query_vectors=None))
    with pytest.raises(InputError, match="loss 'all'"):
        SearchModel(replace(CODES, loss="all"), data)
    with pytest.raises(InputError, match="item vectors of words"):
        SearchModel(replace(CODES, parts=("words",)), data)
    with pytest.raises(InputError, match="batch_size is 1; give 2 or more"):
        train_search(CODES, data, replace(FAST, batch_size=1))
    with pytest.raises(InputError, match="no metric 'hits'"):
        train_search(CODES, data, replace(FAST, epochs=1, monitor="hits"))


def test_a_loss_that_is_not_finite_ends_the_training(data: SearchDataset) -> None:
    assert data.query_vectors is not None
    broken = replace(data, query_vectors=np.full_like(data.query_vectors, np.nan))
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train_search(CODES, broken, FAST)
