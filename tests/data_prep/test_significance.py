from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from data_prep.significance import holm, paired_bootstrap, paired_t, paired_tests


def test_the_t_test_equals_scipys() -> None:
    draw = np.random.default_rng(0)
    for n in (2, 3, 30, 5000):
        a, b = draw.normal(0.1, size=n), draw.normal(size=n)
        assert paired_t(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
    hits = draw.random((2, 400)) < [[0.10], [0.06]]
    assert paired_t(*hits) == pytest.approx(stats.ttest_rel(*hits.astype(float)).pvalue)


def test_differences_without_spread() -> None:
    assert paired_t([1, 2, 3], [1, 2, 3]) == 1
    assert paired_t([2, 3, 4], [1, 2, 3]) == 0
    assert paired_bootstrap([1, 2], [1, 2]) == (1, 0, 0)
    assert paired_bootstrap([2, 3, 4], [1, 2, 3], 999) == (1 / 1000, 1, 1)


def test_the_bootstrap_agrees_with_all_resamples() -> None:
    """Four users have 4⁴ resamples, few enough to count all."""
    a, b = np.array([0.9, 0.2, 0.2, 0.7]), np.array([0.1, 0.2, 0.2, 0.6])
    difference = a - b
    every = np.array([np.mean(chosen) for chosen in product(difference, repeat=4)])
    as_far = np.mean(np.abs(every - difference.mean()) >= difference.mean() - 1e-12)
    p, low, high = paired_bootstrap(a, b, 200_000)
    assert p == pytest.approx(as_far, abs=0.005)
    assert low == pytest.approx(np.quantile(every, 0.025))
    assert high == pytest.approx(np.quantile(every, 0.975))


def test_the_bootstrap_agrees_with_the_t_test_on_many_users() -> None:
    """Within five standard errors of the resampled share and quantiles."""
    draw = np.random.default_rng(1)
    a, b = draw.normal([[0.1], [0.0]], size=(2, 500))
    resamples = 20_000
    p, low, high = paired_bootstrap(a, b, resamples)
    expected = paired_t(a, b)
    assert p == pytest.approx(expected, abs=5 * (0.25 / resamples) ** 0.5)
    interval = stats.ttest_rel(a, b).confidence_interval()
    slack = 0.2 * stats.sem(a - b)
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=slack)


def test_equal_seeds_give_equal_results() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 50))
    assert paired_bootstrap(a, b, 500, seed=4) == paired_bootstrap(a, b, 500, seed=4)
    assert paired_bootstrap(a, b, 500, seed=4) != paired_bootstrap(a, b, 500, seed=5)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6, 0.7]).tolist() == [1, 1, 1]
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, np.nan])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_as_the_procedure_does(p: list[float], level: float) -> None:
    """Step down: reject the smallest p while p ≤ level / (remaining tests)."""
    rejected = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] * (len(p) - step) > level:
            break
        rejected.add(index)
    assert {i for i, adjusted in enumerate(holm(p)) if adjusted <= level} == rejected


def test_a_table_of_comparisons() -> None:
    draw = np.random.default_rng(3)
    base = draw.random(800)
    systems = {
        "base": {"ndcg@10": base, "mrr": base},
        "same": {"ndcg@10": base + draw.normal(0, 0.1, 800), "mrr": base},
        "better": {"ndcg@10": base + draw.normal(0.05, 0.1, 800), "mrr": base + 0.01},
    }
    table = paired_tests(systems, "base", ("ndcg@10", "mrr"), resamples=2000)
    assert [(row.system, row.metric) for row in table] == [
        (name, metric) for name in ("same", "better") for metric in ("ndcg@10", "mrr")
    ]
    assert [row.p_holm < 0.05 for row in table] == [False, False, True, True]
    assert [row.p_holm for row in table] == list(holm([row.p_t for row in table]))
    assert table[2].low < table[2].difference < table[2].high
    with pytest.raises(KeyError):
        paired_tests(systems, "base", ["recall@10"])


@pytest.mark.parametrize(
    ("a", "b"), [([1, 2], [1, 2, 3]), ([1], [2]), ([1, np.nan], [1, 2]), ([[1, 2]], [[1, 2]])]
)
def test_unpaired_values_are_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"same users|finite"):
        paired_t(a, b)
