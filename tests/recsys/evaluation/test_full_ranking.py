import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import CANDIDATES, evaluate, target_ranks
from recsys.models.baselines import CoOccurrence, Popularity
from tests.recsys.conftest import dataset_of


def _sorted_rank(scores: list[float], target: int, left_out: set[int], ties: str) -> float:
    """Rank by sorting: the last or the mean place of all items with the target's score."""
    kept = [item for item in range(len(scores)) if item == target or item not in left_out]
    order = sorted(kept, key=lambda item: -scores[item])
    places = [place for place, item in enumerate(order, start=1) if scores[item] == scores[target]]
    return float(max(places) if ties == "behind" else np.mean(places))


@settings(deadline=None)
@given(st.data(), st.sampled_from(["behind", "averaged"]))
def test_ranks_equal_those_of_sorting(data: st.DataObject, ties: str) -> None:
    n = data.draw(st.integers(1, 12))
    score = st.sampled_from([-float("inf"), -1.0, 0.0, 0.5, 2.0])
    scores = data.draw(st.lists(score, min_size=n, max_size=n))
    target = data.draw(st.integers(0, n - 1))
    history = data.draw(st.lists(st.integers(-1, n - 1), max_size=6))
    found = target_ranks(
        torch.tensor([scores]),
        torch.tensor([target]),
        torch.tensor([history], dtype=torch.long),
        "behind" if ties == "behind" else "averaged",
    )
    assert found["all"].item() == _sorted_rank(scores, target, set(), ties)
    assert found["without_history"].item() == _sorted_rank(scores, target, set(history), ties)


def test_a_constant_score_gains_nothing_and_nan_is_refused() -> None:
    none = torch.full((1, 1), -1)
    assert target_ranks(torch.zeros(1, 50), torch.tensor([7]), none)["all"].item() == 50
    averaged = target_ranks(torch.zeros(1, 50), torch.tensor([7]), none, "averaged")
    assert averaged["all"].item() == 25.5
    with pytest.raises(FloatingPointError, match="not a number"):
        target_ranks(torch.full((1, 3), torch.nan), torch.tensor([1]), none)


def test_a_user_s_items_are_left_out_but_not_the_target() -> None:
    """The user has 0, 1, 2, then 0 again; the scorer ranks 2, 1, 0, 3."""
    dataset = dataset_of([[0, 1, 2, 0]], 4)
    preferred = torch.tensor([[2.0, 3.0, 4.0, 1.0]])
    found = evaluate(lambda _: preferred, dataset, "test", coverage=(1, 2))
    assert found.ranks["all"].tolist() == [3]
    assert found.ranks["without_history"].tolist() == [1]
    assert found.coverage["all"] == {"coverage@1": 0.25, "coverage@2": 0.5}
    assert found.metrics("without_history")["mrr"] == 1
    assert found.coverage["without_history"]["coverage@1"] == 0.25  # the target itself, 0


def test_the_batch_size_does_not_change_the_result(dataset: SequenceDataset) -> None:
    table = torch.rand(dataset.n_items, dataset.n_items, generator=torch.Generator().manual_seed(0))
    whole, parts = (
        evaluate(lambda h: table[h[:, 0]], dataset, "validation", batch_size=size)
        for size in (10_000, 7)
    )
    for name in CANDIDATES:
        assert (whole.ranks[name] == parts.ranks[name]).all()
        assert whole.metrics(name) == parts.metrics(name)
    assert (whole.ranks["without_history"] <= whole.ranks["all"]).all()


def test_the_scorer_gets_the_last_items_and_must_score_all_items() -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4], [4, 2, 1]], 5)
    seen: list[Tensor] = []

    def scorer(histories: Tensor) -> Tensor:
        seen.append(histories)
        return torch.zeros(len(histories), 5)

    evaluate(scorer, dataset, "test", history=2)
    assert seen[0].tolist() == [[2, 3], [4, 2]]
    with pytest.raises(ValueError, match="2 users and 5 items"):
        evaluate(lambda h: torch.zeros(len(h), 4), dataset, "test")


def test_popularity_counts_training_events_only(dataset: SequenceDataset) -> None:
    expected = np.zeros(dataset.n_items)
    for start, end in zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True):
        for item in dataset.events[start : end - 2]:
            expected[item] += 1
    scores = Popularity(dataset).scores(torch.zeros(2, 3, dtype=torch.long))
    assert scores.tolist() == [expected.tolist()] * 2


def test_co_occurrence_equals_the_cosine_by_brute_force(dataset: SequenceDataset) -> None:
    owned = np.zeros((dataset.n_users, dataset.n_items))
    for user, row in enumerate(dataset.histories("validation")):
        owned[user, row[row >= 0]] = 1
    together = owned.T @ owned
    count = np.sqrt(np.maximum(np.diag(together), 1))
    cosine = together / count[:, None] / count
    np.fill_diagonal(cosine, 0)
    histories = dataset.histories("test")[:20]
    expected = [cosine[sorted(set(row[row >= 0]))].sum(0) for row in histories]
    found = CoOccurrence(dataset).scores(torch.from_numpy(histories))
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-11)


def test_co_occurrence_beats_popularity(dataset: SequenceDataset) -> None:
    together, popular = (
        evaluate(baseline(dataset).scores, dataset, "test").metrics("without_history")
        for baseline in (CoOccurrence, Popularity)
    )
    assert together["ndcg@10"] > 2 * popular["ndcg@10"]
    assert together["coverage@10"] > popular["coverage@10"]
