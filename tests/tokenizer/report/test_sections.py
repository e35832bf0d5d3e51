"""What the sections of a report measure."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from tokenizer import artifact
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline
from tokenizer.prefixes.directions import known_directions
from tokenizer.report.coded_items import CodedItems
from tokenizer.report.content import content_of, content_section
from tokenizer.report.item_map import layout, map_section
from tokenizer.report.neighbours import decoded_latents, neighbour_overlap
from tokenizer.report.tokenizer_page import report


@pytest.fixture(scope="module")
def coded(items: pl.DataFrame, vectors: NDArray[np.float32], pipeline: Pipeline) -> CodedItems:
    table = pl.DataFrame({"item_id": items["item_id"], "vector": vectors})
    directions = known_directions(items["item_id"], items, table, pipeline, None)
    return CodedItems.of(tokenize_catalogue(items, pipeline), items, directions)


def test_a_map_keeps_groups_apart() -> None:
    """Three groups in 20 dimensions, whose two principal axes would mix two of them."""
    draw = np.random.default_rng(0)
    centres = np.eye(20)[:3] * 10
    groups = np.repeat([0, 1, 2], 40)
    placed = layout(centres[groups] + draw.normal(size=(120, 20)))
    assert placed.min() >= 0
    assert placed.max() <= 1
    away = np.square(placed[:, None] - placed[None]).sum(-1)
    np.fill_diagonal(away, np.inf)
    assert (groups[away.argmin(axis=1)] == groups).mean() > 0.95


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_a_map_of_few_or_equal_items_is_drawn(n: int) -> None:
    assert layout(np.ones((n, 3))).shape == (n, 2)
    assert np.isfinite(layout(np.random.default_rng(0).normal(size=(n, 3)))).all()


def test_the_maps_names_are_data_that_no_title_ends(coded: CodedItems) -> None:
    hostile = CodedItems(
        coded.codes, ["</script><b>"] * len(coded.codes), 0.1, coded.item_ids, coded.titles
    )
    text = map_section(hostile, hostile.codes.astype(float), {})
    found = re.search(r'id="items">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    names = json.loads(found[1])
    assert names[0] == ["</script><b>", hostile.written(0)]
    assert len(names) == 600


def test_overlap_is_that_of_a_full_search(
    coded: CodedItems, pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    latents = decoded_latents(pipeline.codebooks, coded.codes)
    assert coded.directions is not None
    found = neighbour_overlap(latents, coded.directions)
    assert found is not None
    assert found.queries == 200
    assert found.vectors == 1  # 600 items are all proposed
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact, near = units @ units.T, -np.square(latents[:, None] - latents[None]).sum(-1)
    for table in (exact, near):
        np.fill_diagonal(table, -np.inf)
    shares = [
        len(set(np.argsort(-a)[:10]) & set(np.argsort(-b)[:10])) / 10
        for a, b in zip(exact, near, strict=True)
    ]
    assert found.codes == pytest.approx(np.mean(shares), abs=0.06)
    assert neighbour_overlap(latents, np.full_like(coded.directions, np.nan)) is None


def test_the_fields_and_texts_of_a_catalogue_are_told(
    items: pl.DataFrame, pipeline: Pipeline
) -> None:
    some = items.head(40).with_columns(
        brand=pl.when(pl.int_range(40) < 10).then("brand"),
        title=pl.lit("Kettle"),
        colour=pl.lit("red"),
        description=pl.lit("One of many"),
    )
    twins = some.with_columns(pl.lit(None, pl.List(pl.String)).alias("categories"))
    content = content_of(twins, pipeline)
    filled = {field.name: field.filled for field in content.fields}
    assert (filled["brand"], filled["title"], filled["categories"]) == (0.25, 1, 0)
    assert content.texts is not None
    assert content.texts.identical_items > 0
    text = content_section(content)
    for told in ("[UNK]", "colour", "25.0%", "texts cut"):
        assert told in text


def test_two_tokenizers_are_compared(coded: CodedItems, tokenizer_folder: Path) -> None:
    fitted = artifact.load(tokenizer_folder)
    assert "both have: 1.00;" in report(fitted, coded, other=(fitted, coded))
    moved = coded.codes.copy()
    moved[::2] = np.roll(moved[::2], 7, axis=0)
    text = report(fitted, coded, other=(fitted, replace(coded, codes=moved)))
    agreement = re.search(r"both have: (0\.\d\d);", text)
    assert agreement is not None
    assert 0.1 < float(agreement[1]) < 0.9
    assert "neighbours found by codes" in text
    assert "coherence of first codes" in text
    strangers = replace(coded, item_ids=[f"other-{name}" for name in coded.item_ids])
    assert "no items in common" in report(fitted, coded, other=(fitted, strangers))
