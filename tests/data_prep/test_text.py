import pytest

from data_prep.errors import InputError
from data_prep.text import TextTemplate


def test_fields_stand_in_order_and_empty_ones_leave_nothing() -> None:
    item = {"title": " Rose  Cream ", "brand": None, "categories": ["Beauty", "", "Hands"]}
    assert TextTemplate().render(item) == "Rose Cream. Categories: Beauty > Hands."
    assert TextTemplate(fields=("brand", "title")).render(item) == "Title: Rose Cream."
    assert TextTemplate(fields=("price",)).render({"price": 2.5}) == "2.5."


def test_lists_and_structs_are_the_texts_in_them() -> None:
    template = TextTemplate(fields=("tags",))
    nested = {"for": ["hands ", None, ["face"]], "with": {"scent": "rose", "price": 3}}
    assert template.render({"tags": nested}) == "hands > face > rose > 3."
    deep: object = "soap"
    for _ in range(10_000):
        deep = [deep, {"more": deep}] if deep == "soap" else [deep]
    assert template.render({"tags": deep}) == "soap > soap."


def test_items_without_text_are_named() -> None:
    items = [{"item_id": "a", "title": "x"}, {"item_id": "b", "title": " "}, {"item_id": "c"}]
    with pytest.raises(InputError, match="2 items: b, c"):
        TextTemplate().render_all(items)


def test_a_text_as_it_stands_takes_the_place_of_fields() -> None:
    template = TextTemplate()
    assert template.content({"text": " as it\nstands "}) == " as it\nstands "
    assert template.content({"text": " ", "title": "x"}) == "x."
    assert template.content({"text": " "}) == ""
    with pytest.raises(InputError, match=r"give text, or title.* not both: 1 item: a"):
        template.render_all([{"item_id": "a", "text": "x", "title": "y"}])
    with pytest.raises(InputError, match="NUL"):
        template.check([{"item_id": "a", "text": "x\0"}])
