"""Metrics against ir-measures, and lists without training."""

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from recsys.search.baselines import content_lists, query_popularity_lists
from recsys.search.data.dataset import SearchDataset
from recsys.search.lexical import Bm25, fused
from recsys.search.ranking import list_metrics, means, order_metrics
from recsys.search.retrieval import top_items
from tests.recsys.search.planted import SHOPS, planted


def _judged(gains: list[dict[int, int]], n_items: int) -> SearchDataset:
    """Return requests with these gains by item; gains of 2 and more are positive."""
    judged = np.concatenate([list(each) for each in gains]).astype(np.int32)
    values = np.concatenate([list(each.values()) for each in gains]).astype(np.float32)
    zeros = np.zeros(len(gains), dtype=np.int64)
    return SearchDataset(
        tuple(map(str, range(n_items))),
        ("q",),
        zeros.astype(np.int32),
        np.full(len(gains), 2, dtype=np.uint8),
        np.empty(0, dtype=np.int32),
        zeros,
        zeros,
        np.cumsum([0, *map(len, gains)]),
        judged,
        values,
        values >= 2,
    )


def test_metrics_are_those_of_ir_measures() -> None:
    draw = np.random.default_rng(0)
    gains = []
    for _ in range(60):
        items = draw.permutation(40)[: draw.integers(2, 12)].tolist()
        own = dict(zip(items, draw.integers(0, 4, size=len(items)).tolist(), strict=True))
        own[items[0]] = 3
        gains.append(own)
    data = _judged(gains, 40)
    lists = np.stack([draw.permutation(40)[:25] for _ in gains])
    found = means(list_metrics(lists, data, np.arange(60), cutoffs=(5, 10, 25)))
    qrels = [
        ir_measures.Qrel(str(n), str(item), gain)
        for n, own in enumerate(gains)
        for item, gain in own.items()
    ]
    run = [
        ir_measures.ScoredDoc(str(n), str(item), -place)
        for n, row in enumerate(lists)
        for place, item in enumerate(row)
    ]
    measures = {f"recall@{k}": R(rel=2) @ k for k in (5, 10, 25)}
    measures |= {f"ndcg@{k}": nDCG @ k for k in (5, 10, 25)} | {"mrr@25": RR(rel=2) @ 25}
    oracle = ir_measures.calc_aggregate(list(measures.values()), qrels, run)
    for name, measure in measures.items():
        assert found[name] == pytest.approx(oracle[measure], abs=1e-9), name


def test_places_after_the_last_item_count_for_nothing() -> None:
    data = _judged([{0: 3, 1: 1}], 4)
    found = means(list_metrics(np.asarray([[2, 0, -1, -1]]), data, np.arange(1), (2, 4)))
    assert found["recall@2"] == found["recall@4"] == 1
    assert found["mrr@4"] == 0.5
    with pytest.raises(ValueError, match="request 0 has no positive item"):
        list_metrics(np.asarray([[1]]), _judged([{0: 1}], 4), np.arange(1), (1,))


def test_shown_items_in_order() -> None:
    data = _judged([{0: 0, 1: 3, 2: 0}, {3: 2, 1: 0}], 4)
    found = order_metrics(np.asarray([3.0, 2, 1, 1, 5], dtype=np.float32), data, np.arange(2))
    assert found["mrr"].tolist() == [0.5, 0.5]
    assert found["ndcg@10"] == pytest.approx([1 / np.log2(3)] * 2)
    assert found["precision@10"] == pytest.approx([0.1, 0.1])


def test_equal_scores_stand_in_random_order() -> None:
    """The catalogue's order wins nothing: each of 50 equal items is first about as often."""
    torch = pytest.importorskip("torch")
    items = torch.ones(50, 2)
    users = torch.ones(1, 2)
    first = {int(top_items(users, items, 5, seed)[0, 0]) for seed in range(60)}
    assert len(first) > 20


def test_blocks_of_items_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    items, users = (torch.randn(n, 8, generator=generator) for n in (300, 20))
    whole = top_items(users, items, 10)
    assert (whole == (users @ items.T).topk(10).indices.numpy()).all()
    monkeypatch.setattr("recsys.search.retrieval.BLOCK", 37)
    assert (top_items(users, items, 10) == whole).all()


def test_what_others_took_for_a_query_comes_first() -> None:
    data = planted()
    requests = data.requests("test")
    lists = query_popularity_lists(data, requests, 20)
    for row, request in zip(lists.tolist(), requests, strict=True):
        group = int(data.queries[data.request_query[request]].split()[-1])
        assert sorted(item // SHOPS for item in row[:SHOPS]) == [group] * SHOPS
        assert len(set(row)) == 20
    content = content_lists(data, requests, SHOPS)
    for row, own in zip(content.tolist(), lists.tolist(), strict=True):
        assert set(row) == set(own[:SHOPS])


def test_bm25_finds_the_text_with_the_words() -> None:
    texts = ["red kettle of copper", "blue kettle", "green lamp", "copper wire", "a b c"]
    index = Bm25(texts)
    lists = index.lists(["Copper KETTLE", "lamp", "unknown", ""], 3)
    assert lists[0, 0] == 0
    assert set(lists[0, 1:]) == {1, 3}
    assert lists[1].tolist() == [2, -1, -1]
    assert (lists[2:] == -1).all()


def test_bm25_ranks_as_the_library_does() -> None:
    bm25s = pytest.importorskip("bm25s")
    draw = np.random.default_rng(0)
    # Every text has a length of its own, so that no two scores are equal.
    texts = [" ".join(f"w{n}" for n in draw.integers(30, size=5 + 3 * row)) for row in range(40)]
    words = [text.split() for text in texts]
    index = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    index.index(words, show_progress=False)
    queries = [f"w{n} w{n + 1}" for n in range(0, 28, 2)]
    theirs, scores = index.retrieve([q.split() for q in queries], k=40, show_progress=False)
    ours = Bm25(texts).lists(queries, 40)
    assert (ours == np.where(scores > 0, theirs, -1)).all()
    assert (Bm25(texts).lists(queries, 3) == ours[:, :3]).all()


def test_bm25_puts_equal_texts_in_random_order() -> None:
    lists = Bm25(["red kettle"] * 50 + ["lamp"] * 50).lists(["kettle"], 10)
    assert lists[0].max() < 50
    assert sorted(lists[0]) != list(range(10))


def test_fusion_sums_reciprocal_places() -> None:
    first, second = np.asarray([[1, 2, 3]]), np.asarray([[3, 4, -1]])
    assert fused(first, second, 5).tolist() == [[3, 1, 2, 4, -1]]
