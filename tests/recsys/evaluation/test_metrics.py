import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recsys.evaluation.full_ranking import target_ranks
from recsys.evaluation.metrics import CUTOFFS, means, per_user


def _oracle(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> list[dict[str, float]]:
    """Return each user's metrics by ir-measures, for the run that ranks items by score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ir_measures
        from ir_measures import RR, R, nDCG

    names = {R @ k: f"recall@{k}" for k in CUTOFFS} | {nDCG @ k: f"ndcg@{k}" for k in CUTOFFS}
    names[RR] = "mrr"
    run = {
        str(user): {str(item): float(score) for item, score in enumerate(row)}
        for user, row in enumerate(scores)
    }
    relevant = {str(user): {str(target): 1} for user, target in enumerate(targets)}
    found: list[dict[str, float]] = [{} for _ in targets]
    for value in ir_measures.iter_calc(list(names), relevant, run):
        found[int(value.query_id)][names[value.measure]] = value.value
    return found


def test_metrics_equal_those_of_ir_measures() -> None:
    draw = np.random.default_rng(3)
    scores = np.stack([draw.permutation(np.arange(400.0)) for _ in range(60)])
    targets = draw.integers(400, size=60)
    targets[:30] = scores[:30].argsort(1)[np.arange(30), -1 - np.arange(30)]  # near the top
    none = torch.full((60, 1), -1)
    ranks = target_ranks(torch.from_numpy(scores), torch.from_numpy(targets), none)["all"]
    found = per_user(ranks.numpy())
    for user, expected in enumerate(_oracle(scores, targets)):
        assert {name: values[user] for name, values in found.items()} == pytest.approx(expected)


def test_metrics_by_hand() -> None:
    found = per_user(np.array([1, 3, 11]), cutoffs=(1, 10))
    assert found["recall@1"].tolist() == [1, 0, 0]
    assert found["recall@10"].tolist() == [1, 1, 0]
    assert found["ndcg@10"].tolist() == [1, 0.5, 0]
    assert found["mrr"] == pytest.approx([1, 1 / 3, 1 / 11])
    assert means(found)["recall@10"] == pytest.approx(2 / 3)


def test_an_averaged_rank_between_two_places_counts_as_the_later() -> None:
    assert per_user(np.array([10.5]), cutoffs=(10,))["recall@10"].tolist() == [0]


@pytest.mark.parametrize("ranks", [[], [0], [1, np.nan]])
def test_impossible_ranks_are_refused(ranks: list[float]) -> None:
    with pytest.raises(ValueError, match="rank"):
        per_user(np.array(ranks))
