import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.markup import plain_text
from data_prep.text import TextTemplate

PIECES = ["<", ">", "</", "<!", "<![", "<!--", "--", "<?", "]]>", "&", "&amp;", "&lt;", ";", "p",
          "script", "br", "/", "=", '"', " ", "a"]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<p>A &amp; B</p><p>C</p>", "A & B C"),
        ("<b>R</b>ose", "Rose"),
        ("x<br/>y<BR>z", "x y z"),
        ("<script>var a='<p>';</script>Soap<style>p{}</style>", "Soap"),
        ("<!-- note -->Soap", "Soap"),
        ("<div class='x' data='>'>Soap</div>", "Soap"),
        ("&lt;p&gt;Soap&lt;/p&gt;", "Soap"),
        ("<p>R&D &c</p>", "R&D &c"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
    ],
)
def test_a_page_s_reader_sees_no_markup(written: str, seen: str) -> None:
    assert " ".join(plain_text(written).split()) == seen


@pytest.mark.parametrize(
    "text",
    ["1 < 2 > 0 & R&D", "<3 this", "a <unknown> b", "&copy=1", "unclosed <p", "size <b", "AT&T"],
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert plain_text(text) == text


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_read(text: str) -> None:
    assert len(plain_text(text)) <= len(text)


@pytest.mark.parametrize("part", ["<p ", "<!--", "<script ", '<p a="', "&lt;", "&"])
def test_a_hostile_text_takes_no_long_time(part: str) -> None:
    began = time.process_time()
    plain_text(part * (200_000 // len(part)))
    assert time.process_time() - began < 5  # a search anew from each part would take minutes


def test_the_template_of_a_table_takes_markup_out_of_fields() -> None:
    item = {"title": "<b>Soap</b>", "description": "<p>&nbsp;Mild</p>", "text": None}
    assert TextTemplate.of(["title", "description"], list(item)).render(item) == (
        "Soap. Description: Mild."
    )
    assert TextTemplate(fields=("title",)).render(item) == "<b>Soap</b>."
    whole = {"title": None, "text": "<b>Soap</b>"}
    assert TextTemplate.of(["title"], list(whole)).content(whole) == "<b>Soap</b>"
