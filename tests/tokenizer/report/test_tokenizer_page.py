"""The page on a tokenizer, as text; tests/e2e/test_report.py opens it in a browser."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.errors import InputError
from tokenizer import artifact
from tokenizer.artifact import TokenizerArtifact
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.offline.id_table import SEMANTIC_IDS
from tokenizer.pipeline import Pipeline
from tokenizer.report.coded_items import CodedItems
from tokenizer.report.pictures import Line, draw_lines
from tokenizer.report.prefix_groups import shared
from tokenizer.report.tokenizer_page import report

Attributes = list[tuple[str, str | None]]
EVENTS = [
    {"step": 40, "level": 2, "what": "reset", "detail": "4 <i>dead</i> codewords"},
    {"step": 60, "what": "collapse", "detail": "only 3 % are used"},
]


@pytest.fixture(scope="module")
def fitted(tokenizer_folder: Path) -> TokenizerArtifact:
    return artifact.load(tokenizer_folder)


@pytest.fixture(scope="module")
def ids(items: pl.DataFrame, pipeline: Pipeline) -> pl.DataFrame:
    return tokenize_catalogue(items, pipeline)


class Elements(HTMLParser):
    """Collects what a page is made of, and sees that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in {"meta", "link", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)


def test_a_page_with_items(
    fitted: TokenizerArtifact, ids: pl.DataFrame, items: pl.DataFrame
) -> None:
    text = report(fitted, CodedItems.of(ids, items))
    page = Elements(text)
    assert page.headings == [
        "Summary", "Training", "Codebooks", "Use of the codes", "Map of the items",
        "Nearest items", "Items of each prefix, by depth", "Families", "Collisions",
        "Configuration",
    ]  # fmt: skip
    assert page.tags.count("svg") == 7
    assert page.tags.count("script") == 2  # the page's own, whose digest is allowed, and names
    assert fitted.fingerprint in text
    assert f"{fitted.metrics['held_out_error']:.3f}" in text
    faiss = fitted.metrics["faiss_residual_quantizer"]
    assert faiss.get("skipped") or f"{faiss['held_out_error']:.3f}" in text
    first = shared(CodedItems.of(ids, items).codes)[0]
    assert items["title"][int(first.rows[0])] in text
    assert text == report(fitted, CodedItems.of(ids, items))


def test_nothing_on_the_page_is_fetched(
    fitted: TokenizerArtifact, ids: pl.DataFrame, items: pl.DataFrame
) -> None:
    text = report(fitted, CodedItems.of(ids, items))
    for address in re.findall(r"(?:href|src)\s*=\s*[\"']([^\"']*)|url\(([^)]*)\)", text):
        assert "".join(address).startswith(("#", "data:")), address
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text


def test_without_items_the_page_says_what_to_pass(fitted: TokenizerArtifact) -> None:
    text = report(fitted, None)
    assert Elements(text).headings == ["Summary", "Training", "Codebooks", "Items", "Configuration"]
    assert "--items" in text
    assert "--ids" in text


def test_titles_are_text(fitted: TokenizerArtifact, ids: pl.DataFrame, items: pl.DataFrame) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> & \"quoted\" 'title'"
    renamed = items.with_columns(title=pl.lit(hostile))
    text = report(fitted, CodedItems.of(ids, renamed))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; &amp;" in text
    page = Elements(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
    assert not [name for name in page.attributes if name.startswith("on")]


def test_items_without_a_title_go_by_their_id(ids: pl.DataFrame, items: pl.DataFrame) -> None:
    first, second = items["item_id"][:2]
    blank = items.with_columns(
        title=pl.when(pl.col("item_id") == first).then(pl.lit(" ")).otherwise("title")
    )
    named = CodedItems.of(ids, blank.filter(pl.col("item_id") != second))
    assert list(named.names[:3]) == [first, second, items["title"][2]]
    assert list(CodedItems.of(ids, None).names) == ids["item_id"].to_list()
    long = items.with_columns(title=pl.lit("a\nb " * 200))
    assert len(CodedItems.of(ids, long).names[0]) == 140
    assert CodedItems.of(ids, long).names[0].startswith("a b a b")


def test_ids_of_other_items_are_refused(ids: pl.DataFrame, items: pl.DataFrame) -> None:
    others = items.with_columns(item_id=pl.format("other-{}", "item_id"))
    with pytest.raises(InputError, match="'other-"):
        CodedItems.of(ids, others)
    with pytest.raises(InputError, match="empty"):
        CodedItems.of(pl.DataFrame(schema=SEMANTIC_IDS), items)


def test_events_are_listed(fitted: TokenizerArtifact) -> None:
    def with_metrics(**changes: object) -> str:
        return report(dataclasses.replace(fitted, metrics=fitted.metrics | changes), None)

    text = with_metrics(events=EVENTS)
    assert "4 &lt;i&gt;dead&lt;/i&gt; codewords" in text
    assert "only 3 % are used" in text
    assert text.count(">event<") == 4  # three legends, one heading
    assert "1,800 more" in with_metrics(events=EVENTS * 1000)
    assert "No safeguard" in with_metrics(events=[])
    assert "no history" in with_metrics(history=[])


def test_a_tokenizer_of_vectors_and_one_item(
    vector_tokenizer: TokenizerArtifact, vectors: np.ndarray, items: pl.DataFrame
) -> None:
    table = pl.DataFrame({"item_id": items["item_id"], "vector": vectors})
    one = tokenize_catalogue(items[:1], Pipeline(vector_tokenizer), vectors=table)
    text = report(vector_tokenizer, CodedItems.of(one, items))
    assert "given as vectors" in text
    assert "No two items have the same codes" in text
    assert "The overlap with exact neighbours needs" in text


def test_groups_of_equal_codes_are_found() -> None:
    codes = np.asarray([[1, 2], [0, 0], [1, 2], [1, 3]], dtype=np.uint16)
    assert [(one.prefix, one.rows.tolist()) for one in shared(codes)] == [((1, 2), [0, 2])]


def test_long_lines_are_thinned_to_their_ends() -> None:
    picture = draw_lines(
        [Line("use", range(1, 65_537), range(65_536, 0, -1), 0)], "items", "codes", log=True
    )
    assert len(picture) < 40_000
    assert "<svg" in picture
