"""`import semid`: its estimators do what the commands do, on tables of any kind."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

import semid
from data_prep.demo import demo_interactions
from service import client
from tests.conftest import SMALL
from tokenizer.artifact import load
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.options import changed_options
from tokenizer.pipeline import Pipeline

NAMED = ("quantizer", "levels", "codebook_size", "steps", "seed")


def _small(**more: Any) -> semid.Tokenizer:
    """Return a tokenizer that is configured as the fixture's."""
    options = changed_options(SMALL)
    named = {name: options.pop(name) for name in NAMED if name in options}
    return semid.Tokenizer(encoder="hashing", options=options, **named, **more)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMID_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def loaded(tokenizer_folder: Path) -> semid.Tokenizer:
    return semid.Tokenizer.load(tokenizer_folder)


@pytest.fixture(scope="module")
def ids(items: pl.DataFrame, pipeline: Pipeline) -> pl.DataFrame:
    return tokenize_catalogue(items, pipeline)


def test_a_fit_is_that_of_the_command(
    items: pl.DataFrame, ids: pl.DataFrame, tokenizer_folder: Path, tmp_path: Path
) -> None:
    tokenizer = _small()
    assert tokenizer.fit(items.to_dicts()) is tokenizer
    assert tokenizer.fingerprint_ == load(tokenizer_folder).fingerprint
    assert tokenizer.tokenize(items).equals(ids)
    tokenizer.save(tmp_path / "t")
    again = semid.Tokenizer.load(str(tmp_path / "t"))
    assert again.inspect() == tokenizer.inspect() | {"name": "t"}  # that of its folder
    assert {name: getattr(again, name) for name in NAMED} == {
        name: getattr(tokenizer, name) for name in NAMED
    }
    assert again.options == tokenizer.options
    assert again.fit(items).fingerprint_ == tokenizer.fingerprint_
    with pytest.raises(semid.InputError, match="exists"):
        tokenizer.save(tmp_path / "t")
    tokenizer.save(tmp_path / "t", overwrite=True)


def test_parameters_stay_as_they_are_given() -> None:
    fields, options = ["title"], {"steps": 9, "radius": "no such"}
    tokenizer = semid.Tokenizer(text_fields=fields, options=options, levels=-3)
    assert tokenizer.text_fields is fields
    assert tokenizer.options is options
    assert tokenizer.levels == -3
    with pytest.raises(TypeError):
        semid.Tokenizer("grit")  # type: ignore[misc]
    for wrong, said in [
        (tokenizer, "as the parameter steps="),
        (semid.Tokenizer(options={"pace": 3}), "'pace'"),
        (semid.Tokenizer(levels=-3), "levels -3"),
        (semid.Tokenizer(quantizer="oracle"), "'oracle'"),
    ]:
        with pytest.raises(semid.InputError, match=said):
            wrong.fit(np.eye(9, dtype=np.float32))
        assert not hasattr(wrong, "fingerprint_")


def test_what_is_not_fitted_says_so(tmp_path: Path) -> None:
    tokenizer, recommender = semid.Tokenizer(), semid.Recommender()
    for asked in (
        lambda: tokenizer.tokenize([{"item_id": "a"}]),
        lambda: tokenizer.encode([[1.0]]),
        lambda: tokenizer.decode([[1]]),
        lambda: tokenizer.similar([], text="a"),
        tokenizer.inspect,
        lambda: tokenizer.save(tmp_path / "t"),
        lambda: recommender.recommend([["a"]]),
        lambda: recommender.evaluate([]),
        lambda: recommender.save(tmp_path / "r"),
    ):
        with pytest.raises(NotFittedError, match="is not fitted; call fit, or use load"):
            asked()
    assert not list(tmp_path.glob("[tr]"))


def test_known_ids_stay(
    loaded: semid.Tokenizer, items: pl.DataFrame, ids: pl.DataFrame, reassigning: Pipeline
) -> None:
    some = loaded.tokenize(items.tail(100))
    grown = loaded.tokenize(items, known=some.to_dicts())
    assert grown.head(100).equals(some)
    assert set(grown["item_id"]) == set(items["item_id"])
    assert grown["semantic_id"].is_unique().all()
    other = ids.with_columns(tokenizer=pl.lit(reassigning.fingerprint))
    with pytest.raises(semid.InputError, match="ids holds IDs of tokenizer"):
        loaded.tokenize(items, known=other)


def test_vectors_of_ones_own(vectors: NDArray[np.float32], items: pl.DataFrame) -> None:
    by_array = _small().fit(vectors)
    own = items.select("item_id").with_columns(vector=pl.Series(vectors))
    by_column = _small().fit(own)
    assert by_array.fingerprint_ == by_column.fingerprint_
    ids = by_array.tokenize(own)
    codes = by_array.encode(vectors)
    assert ids["codes"].to_list() == codes.tolist()
    decoded = by_array.decode(codes)
    assert decoded.shape == vectors.shape
    assert np.array_equal(by_array.decode(codes[5:6].tolist()), decoded[5:6])
    lost = np.square(vectors - decoded).sum(1) / np.square(vectors - vectors.mean(0)).sum(1).mean()
    assert np.corrcoef(lost, ids["distortion"])[0, 1] > 0.99
    with pytest.raises(semid.InputError, match="no text encoder"):
        by_array.tokenize(items)
    no_codes: list[tuple[Any, str]] = [
        ([[0, 0]], "3 codes a row"),
        ([[0, 0, 32]], "from 0 to 31"),
        ([[0, 0, -1]], "not a code"),
        ([[0.5, 0, 1]], "not a code"),
    ]
    for wrong, said in no_codes:
        with pytest.raises(semid.InputError, match=said):
            by_array.decode(wrong)
    no_vectors: list[tuple[Any, str]] = [
        (["a"], "rows of numbers"),
        ([1.0, 2.0], r"\(N, D\)"),
        ([[1.0]], "length 1"),
    ]
    for odd, said in no_vectors:
        with pytest.raises(semid.InputError, match=said):
            by_array.encode(odd)


def test_similar_items_are_the_nearest_by_decoded_latents(
    loaded: semid.Tokenizer, ids: pl.DataFrame, vectors: NDArray[np.float32], pipeline: Pipeline,
    items: pl.DataFrame,
) -> None:  # fmt: skip
    """And by the catalogue's vectors, where it is given."""
    codes = np.asarray(ids["codes"].to_list())
    latents = loaded.codebooks_[np.arange(codes.shape[1]), codes].sum(1)
    for asked, latent in [
        ({"item_id": ids["item_id"][7]}, latents[7]),
        ({"vector": vectors[3]}, pipeline.latents(vectors[3:4])[0]),
        ({"text": "a copper kettle"}, pipeline.latents(pipeline.embed(["a copper kettle"]))[0]),
    ]:
        found = loaded.similar(ids, **asked, k=5)
        distances = np.square(latents - latent).sum(1)
        if "item_id" in asked:
            assert asked["item_id"] not in found["item_id"].to_list()
            distances = np.delete(distances, 7)
        assert np.allclose(found["distance"], np.sort(distances)[:5], rtol=1e-3, atol=1e-4)
    named = found.join(ids, on=["item_id", "semantic_id"], how="inner")
    assert named.height == 5
    with pytest.raises(semid.InputError, match="exactly one of"):
        loaded.similar(ids, text="a", item_id="b")
    with pytest.raises(semid.InputError, match="no item 'b'"):
        loaded.similar(ids, item_id="b")
    exact = loaded.similar(ids, vector=vectors[3], k=5, items=items)
    near = vectors @ vectors[3] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[3])
    assert np.allclose(exact["cosine"], np.sort(near)[:-6:-1], atol=1e-4)
    assert exact["exact"].all()
    assert not named["exact"].any()
    with pytest.raises(semid.InputError, match="k is 0"):
        loaded.similar(ids, text="a", k=0)


def test_a_catalogue_is_read_by_its_name(items: pl.DataFrame, tmp_path: Path) -> None:
    items.rename({"item_id": "sku"}).drop("categories").write_csv(tmp_path / "items.csv")
    read = semid.read_items(str(tmp_path / "items.csv"), columns={"item_id": "sku"})
    assert read["title"].equals(items["title"])
    with pytest.raises(semid.InputError, match="does not exist"):
        semid.read_items(tmp_path / "none.csv")


def test_a_recommender_is_fitted_kept_and_asked(
    loaded: semid.Tokenizer, items: pl.DataFrame, ids: pl.DataFrame, tmp_path: Path
) -> None:
    some, shoppers = items.head(150), demo_interactions(items.head(150), shoppers=90)
    known = ids.head(150)
    recommender = semid.Recommender(preset="smoke", options={"epochs": 1})
    assert recommender.fit(shoppers.to_dicts(), known, tokenizer=loaded) is recommender
    recommender.save(tmp_path / "r")
    again = semid.Recommender.load(tmp_path / "r")
    assert again.fingerprint_ == recommender.fingerprint_
    assert again.model == recommender.model
    assert again.metrics_ == recommender.metrics_
    histories = [some["item_id"][:2].to_list(), [some["item_id"][9]]]
    found = recommender.recommend(iter(histories), k=4)
    assert found.equals(again.recommend(histories, k=4))
    assert found.select("history", "rank").rows() == [(h, r) for h in (0, 1) for r in (1, 2, 3, 4)]
    assert not set(histories[0]) & set(found.filter(history=0)["item_id"])
    tested = again.evaluate(shoppers)
    for part, figures in recommender.metrics_["test"].items():
        measured = dict(tested.select("metric", part).iter_rows())
        assert measured == pytest.approx(figures)
    with pytest.raises(semid.InputError, match="not in the catalogue"):
        again.evaluate(shoppers.with_columns(item_id=pl.lit("new")))
    with pytest.raises(semid.InputError, match="'oracle'"):
        semid.Recommender(model="oracle").fit(shoppers)
    with pytest.raises(semid.InputError, match="pace: no such field"):
        semid.Recommender(options={"pace": 1}).fit(shoppers)


def test_a_model_of_dense_ids_needs_interactions_alone(items: pl.DataFrame) -> None:
    shoppers = demo_interactions(items.head(100), shoppers=60)
    dense = semid.Recommender(model="sasrec", preset="smoke", options={"epochs": 1}).fit(shoppers)
    assert dense.recommend([shoppers["item_id"][:1].to_list()], k=2).height == 2


def test_the_client_is_the_services() -> None:
    assert semid.Client is client.Semid
    assert semid.AsyncClient is client.AsyncSemid
    assert semid.SemidError is client.SemidError
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        _ = semid.Klient
