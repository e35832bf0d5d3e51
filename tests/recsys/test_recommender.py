import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from recsys import item_index
from recsys.data.dataset import SequenceDataset
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.tiger import TigerRecommenderConfig
from recsys.inner_product_index import InnerProductIndex
from recsys.item_index import ItemIndex
from recsys.models.base import NextItemModel, ScoringModel
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoderConfig
from recsys.recommender import Recommender, save_recommender
from recsys.shapes import Shape, build_model, plain_shape, shape_of

TOWER = TowerConfig(width=16, layers=1, heads=2, feedforward=32, history=8)
DUAL = DualEncoderConfig(tower=TOWER)
TIGER = TigerRecommenderConfig(
    width=16, heads=2, head_width=8, hidden=32, layers=1, beams=20, validation_beams=10, history=8
)
GENERATOR = GeneratorConfig(tower=TOWER, nearness="codes", beams=20, validation_beams=10)
SHAPES: dict[str, Shape] = {
    "sasrec": TOWER,
    "sasrec-repeats": replace(TOWER, repeats=True),
    "dual-encoder": DUAL,
    "dual-encoder-nearness": replace(DUAL, nearness="codes"),
    "dual-encoder-transitions": replace(DUAL, transitions=True),
    "generator": GENERATOR,
    "generator-cold": replace(GENERATOR, transitions=True, new_items=True),
    "tiger": TIGER,
}


@pytest.fixture(scope="module")
def suffixed(dataset: SequenceDataset) -> SequenceDataset:
    """Return the data with suffixes that tell items with the same codes apart."""
    assert dataset.codes is not None
    seen: dict[bytes, int] = {}
    suffixes = []
    for row in dataset.codes:
        suffixes.append(seen.get(row.tobytes(), 0))
        seen[row.tobytes()] = suffixes[-1] + 1
    return replace(
        dataset,
        suffixes=np.asarray(suffixes, dtype=np.uint32),
        codebooks=np.random.default_rng(0).normal(size=(3, 16, 8)).astype(np.float32),
    )


def _model(shape: Shape, dataset: SequenceDataset, repeats: float = 0.02) -> NextItemModel:
    torch.manual_seed(0)
    model = build_model(shape, dataset).eval()
    if isinstance(model, ScoringModel) and model.repeats is not None:
        torch.nn.init.constant_(model.repeats.weight, repeats)
    for name in ("nearness", "transitions"):
        part = getattr(model, name, None)
        if part is not None:
            torch.nn.init.normal_(part.weights)
    if isinstance(model, Generator) and model.reranker and model.reranker.new_items:
        model.reranker.new_items.start.fill_(-5.0)
    return model


def _saved(
    folder: Path, shape: Shape, dataset: SequenceDataset, repeats: float = 0.02
) -> Recommender:
    model = _model(shape, dataset, repeats)
    save_recommender(folder, shape, model, dataset, {"recall@10": 0.5})
    return Recommender.load(folder)


@pytest.mark.parametrize(
    ("kind", "repeats"), [*((kind, 0.02) for kind in SHAPES), ("sasrec-repeats", -0.02)]
)
def test_a_saved_recommender_recommends_as_the_trained_model(
    kind: str, repeats: float, suffixed: SequenceDataset, tmp_path: Path
) -> None:
    recommender = _saved(tmp_path / "r", SHAPES[kind], suffixed, repeats)
    model = _model(SHAPES[kind], suffixed, repeats)
    rows = torch.from_numpy(suffixed.histories("test", 8))[:7]
    ids = [[suffixed.item_ids[item] for item in row if item >= 0] for row in rows.tolist()]
    for exclude in (True, False):
        answers = recommender.recommend(ids, 12, exclude_seen=exclude)
        for history, row, answer in zip(ids, rows, answers, strict=True):
            found = [each.item_id for each in answer]
            assert len(set(found)) == 12
            if exclude:
                assert not set(found) & set(history)
            if isinstance(model, ScoringModel):
                scores = model.scores(row[row >= 0][None])[0]
                if exclude:
                    scores[row[row >= 0]] = -torch.inf
                best = scores.topk(12).indices.tolist()
                assert found == [suffixed.item_ids[item] for item in best]
                values = [each.score for each in answer]
                assert values == pytest.approx(scores[best].tolist(), abs=1e-6)
    assert recommender.metrics == {"recall@10": 0.5}
    dense = kind.startswith("sasrec")
    assert recommender.tokenizer == ("" if dense else suffixed.tokenizer)
    if dense:
        recommender.check_tokenizer("that of any IDs")


def test_a_saved_recommender_has_no_users(suffixed: SequenceDataset, tmp_path: Path) -> None:
    _saved(tmp_path / "r", DUAL, suffixed)
    kept = SequenceDataset.load(tmp_path / "r" / "catalogue.safetensors")
    assert kept.n_users == len(kept.events) == 0
    assert (kept.popularity == suffixed.popularity).all()
    assert kept.vectors is None


@pytest.mark.parametrize("kind", ["dual-encoder", "dual-encoder-nearness", "generator", "tiger"])
def test_a_new_item_can_be_recommended_and_read(
    kind: str, suffixed: SequenceDataset, tmp_path: Path
) -> None:
    """The model is untrained; a new item gets the codes of its best item, so that it ranks high."""
    recommender = _saved(tmp_path / "r", SHAPES[kind], suffixed)
    assert suffixed.codes is not None
    assert suffixed.suffixes is not None
    history = [[suffixed.item_ids[item] for item in (1, 2, 3)]]
    best = recommender.recommend(history, 1)[0][0].item_id
    codes = suffixed.codes[[suffixed.item_ids.index(best)]]
    fresh = np.asarray([9], dtype=np.uint32)
    assert recommender.add(["new"], codes, fresh) == 1
    assert recommender.add(["new"], codes, fresh) == 0
    ranked = [each.item_id for each in recommender.recommend(history, 301)[0]]
    assert "new" in ranked
    assert "new" not in [each.item_id for each in recommender.recommend([["new"]], 50)[0]]
    size = suffixed.codebook_size
    for beyond in ([size, 0, 0], [0, 0, size]):  # from a tokenizer with larger codebooks
        assert recommender.add(["far"], np.asarray([beyond], dtype=np.uint16), fresh) == 0
    if kind in {"generator", "tiger"}:
        assert recommender.add(["far"], codes, np.asarray([10**6], dtype=np.uint32)) == 0
        # Another item with the ID of a training item.
        assert recommender.add(["twin"], suffixed.codes[:1], suffixed.suffixes[:1]) == 0
    assert recommender.recommend(history, 5)[0]


def test_a_model_of_dense_ids_accepts_no_new_item(
    suffixed: SequenceDataset, tmp_path: Path
) -> None:
    recommender = _saved(tmp_path / "r", TOWER, suffixed)
    assert suffixed.codes is not None
    assert recommender.add(["new"], suffixed.codes[:1], np.zeros(1, dtype=np.uint32)) == 0


def test_long_and_partly_unknown_histories_are_read(
    suffixed: SequenceDataset, tmp_path: Path
) -> None:
    recommender = _saved(tmp_path / "r", DUAL, suffixed)
    known = list(suffixed.item_ids[:10])
    long = ["nobody's", *(known * 1000)]
    assert recommender.recommend([long], 5) == recommender.recommend([known], 5)
    assert recommender.recommend([], 5) == []


def test_unusable_input_is_refused(suffixed: SequenceDataset, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    recommender = _saved(folder, DUAL, suffixed)
    some = list(suffixed.item_ids[:3])
    with pytest.raises(InputError, match="histories/1 has no items"):
        recommender.recommend([some, []])
    with pytest.raises(InputError, match="histories/0 has no known item: 'x'"):
        recommender.recommend([["x", "y"]])
    for k in (0, suffixed.n_items + 1):
        with pytest.raises(InputError, match=f"k is {k}; give 1 to {suffixed.n_items}"):
            recommender.recommend([some], k)
    with pytest.raises(InputError, match=f"tokenizer {suffixed.tokenizer}, not of beef"):
        recommender.check_tokenizer("beef")
    with pytest.raises(InputError, match="is not a recommender"):
        Recommender.load(tmp_path)
    with pytest.raises(InputError, match="kind 'oracle'"):
        shape_of({"kind": "oracle"})
    for shape in (TOWER, DUAL):
        with pytest.raises(InputError, match="an unknown field, 'depth'"):
            shape_of({**plain_shape(shape), "depth": 3})
    plain = plain_shape(DUAL)
    with pytest.raises(InputError, match="an unknown field, 'depth'"):
        shape_of({**plain, "tower": {**plain["tower"], "depth": 3}})
    del plain["tower"]["repeats"], plain["loss"]  # as an earlier version wrote it
    assert shape_of(plain) == DUAL
    fewer = replace(suffixed, item_ids=suffixed.item_ids[:-1])
    with pytest.raises(InputError, match="has other items"):
        recommender.check_data(fewer)
    for name in ("weights.safetensors", "catalogue.safetensors"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-5])
        with pytest.raises(InputError, match=r"has changed|cannot be read|is damaged"):
            Recommender.load(folder)
        (folder / name).write_bytes(whole)
    body = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(body | {"tokenizer": "beef"}))
    with pytest.raises(InputError, match="has changed"):
        Recommender.load(folder)


def test_the_index_finds_the_items_of_an_exhaustive_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_index, "BATCH", 6)
    draw = np.random.default_rng(0)
    items, users = draw.normal(size=(500, 8)), draw.normal(size=(20, 8))
    excluded = [draw.integers(0, 500, user % 5).tolist() for user in range(20)]
    index = ItemIndex(InnerProductIndex(items[:300].astype(np.float32)))
    index.vectors.add(items[300:].astype(np.float32))
    scores = users @ items.T
    for row, left_out in enumerate(excluded):
        scores[row, left_out] = -np.inf
    hidden = {7, 499, *np.argsort(-scores[3])[:4].tolist()}
    scores[:, list(hidden)] = -np.inf
    added = [{int(item): 0.5 for item in draw.integers(0, 500, user % 3)} for user in range(20)]
    for row, more in enumerate(added):
        scores[row, list(more)] += 0.5
    asked = users.astype(np.float32)
    for row, found in enumerate(index.search(asked, 10, excluded, added, hidden)):
        assert [item for item, _ in found] == np.argsort(-scores[row])[:10].tolist()
        np.testing.assert_allclose([s for _, s in found], np.sort(-scores[row])[:10] * -1, 1e-4)
    assert len(index.search(users[:1].astype(np.float32), 900, [[]])[0]) == 500


def test_an_index_of_lists_leaves_out_and_adds_as_the_exact_one() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, 8))
    near = 0.2 * draw.normal(size=(9000, 8))
    items = (centres[draw.integers(20, size=9000)] + near).astype(np.float32)
    users = centres.astype(np.float32)
    exact = ItemIndex(InnerProductIndex(items))
    lists = ItemIndex(InnerProductIndex(items, users, exact_up_to=1000))
    assert not exact.vectors.probes
    assert lists.vectors.probes
    assert lists.vectors.found >= 0.99
    for index in (exact, lists):
        index.vectors.add(2 * items[:5])
    best = [[item for item, _ in row] for row in exact.search(users, 40, [[]] * 20)]
    excluded, hidden = [row[:10] for row in best], set(best[0][:3])
    bonuses = [{row[30]: 9.0} for row in best]
    wanted = exact.search(users, 20, excluded, bonuses, hidden)
    found = lists.search(users, 20, excluded, bonuses, hidden)
    shared = [len(dict(a).keys() & dict(b).keys()) for a, b in zip(found, wanted, strict=True)]
    assert np.mean(shared) > 0.98 * 20
    for row, left_out, bonus in zip(found, excluded, bonuses, strict=True):
        assert not dict(row).keys() & (hidden | set(left_out))
        assert hidden.isdisjoint(bonus) <= (row[0][0] == next(iter(bonus)))
    among = draw.choice(9000, 60, replace=False)
    assert [dict(row).keys() for row in lists.search(users, 60, [[]] * 20, candidates=among)] == [
        set(among.tolist())
    ] * 20


@pytest.mark.parametrize(
    "kind", ["sasrec-repeats", "dual-encoder-nearness", "dual-encoder-transitions"]
)
def test_a_recommender_with_lists_recommends_as_one_without(
    kind: str, suffixed: SequenceDataset
) -> None:
    model = _model(SHAPES[kind], suffixed)
    exact = Recommender(model, suffixed, "f", {})
    lists = Recommender(model, suffixed, "f", {}, exact_up_to=10)
    histories = [list(suffixed.item_ids[first : first + 3]) for first in range(0, 90, 3)]
    wanted, found = (each.recommend(histories, 10) for each in (exact, lists))
    shared = [
        len({a.item_id for a in row} & {b.item_id for b in other})
        for row, other in zip(found, wanted, strict=True)
    ]
    assert np.mean(shared) >= 9.5


@pytest.mark.parametrize("kind", SHAPES)
def test_a_hidden_item_is_read_but_not_recommended(
    kind: str, suffixed: SequenceDataset, tmp_path: Path
) -> None:
    shape = SHAPES[kind]
    if isinstance(shape, GeneratorConfig | TigerRecommenderConfig):
        shape = replace(shape, beams=suffixed.n_items)  # so that the search misses no item
    recommender = _saved(tmp_path / "r", shape, suffixed)
    history = [list(suffixed.item_ids[:3])]
    best = recommender.recommend(history, 5)[0]
    recommender.hide(best[0].item_id)
    rest = [each.item_id for each in recommender.recommend(history, 4)[0]]
    assert rest == [each.item_id for each in best[1:]]
    for exclude in (True, False):
        alone = recommender.recommend([[best[0].item_id]], 5, exclude_seen=exclude)[0]
        assert len(alone) == 5
        assert best[0].item_id not in [each.item_id for each in alone]
    recommender.hide(best[0].item_id, hidden=False)
    assert recommender.recommend(history, 5)[0] == best
    recommender.hide("nobody's")


@pytest.mark.parametrize("kind", SHAPES)
def test_recommendations_keep_to_the_candidates_with_their_scores(
    kind: str, suffixed: SequenceDataset, tmp_path: Path
) -> None:
    shape = SHAPES[kind]
    if isinstance(shape, GeneratorConfig | TigerRecommenderConfig):
        shape = replace(shape, beams=suffixed.n_items)
    recommender = _saved(tmp_path / "r", shape, suffixed)
    histories = [list(suffixed.item_ids[:3]), list(suffixed.item_ids[5:6])]
    recommender.hide(suffixed.item_ids[30])
    chosen = [*suffixed.item_ids[2:40:3], suffixed.item_ids[30], "nobody's", "nobody's"]
    assert recommender.unknown(chosen) == [suffixed.item_ids[30], "nobody's"]
    whole = recommender.recommend(histories, 300)
    found = recommender.recommend(histories, 20, candidates=chosen)
    for every, some in zip(whole, found, strict=True):
        expected = [each for each in every if each.item_id in chosen]
        assert [each.item_id for each in some] == [each.item_id for each in expected]
        scores = [each.score for each in expected]
        assert [each.score for each in some] == pytest.approx(scores, abs=1e-4)
    with pytest.raises(InputError, match="no item is left to recommend"):
        recommender.recommend(histories, candidates=["nobody's", suffixed.item_ids[30]])


@pytest.mark.parametrize("kind", ["dual-encoder", "generator", "tiger"])
def test_recommendations_keep_to_a_prefix(
    kind: str, suffixed: SequenceDataset, tmp_path: Path
) -> None:
    recommender = _saved(tmp_path / "r", SHAPES[kind], suffixed)
    assert suffixed.codes is not None
    first = int(suffixed.codes[17, 0])
    under = {suffixed.item_ids[n] for n in np.flatnonzero(suffixed.codes[:, 0] == first)}
    history = [[suffixed.item_ids[0]]]
    found = recommender.recommend(history, 100, exclude_seen=False, prefix=[first])[0]
    assert {each.item_id for each in found} == under
    both = recommender.recommend(
        history, 100, exclude_seen=False, prefix=[first], candidates=suffixed.item_ids[:18]
    )[0]
    assert {each.item_id for each in both} == under.intersection(suffixed.item_ids[:18])
    with pytest.raises(InputError, match="a prefix of 4 codes, and IDs of 3"):
        recommender.recommend(history, prefix=[1, 2, 3, 4])


def test_a_prefix_needs_a_model_that_reads_codes(suffixed: SequenceDataset, tmp_path: Path) -> None:
    recommender = _saved(tmp_path / "r", TOWER, suffixed)
    with pytest.raises(InputError, match="reads no codes; give candidates"):
        recommender.recommend([[suffixed.item_ids[0]]], prefix=[1])
