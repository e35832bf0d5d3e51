"""One rule for what an item is, whatever it comes in."""

import pytest

from data_prep.values.item_rules import category_path, id_fault, id_text, price_of, title_fault


@pytest.mark.parametrize(
    ("written", "item_id"),
    [
        ("007", "007"),
        ("8.0", "8.0"),
        (7, "7"),
        (8.0, "8"),
        (2**53 + 1, "9007199254740993"),
        (10**40, "1" + 40 * "0"),
        (-0.0, "0"),
    ],
)
def test_ids_are_text_as_written_and_whole_numbers(written: object, item_id: str) -> None:
    assert id_text(written) == item_id


@pytest.mark.parametrize("value", [7.5, float(2**53), float("nan"), float("inf"), True, ["a"]])
def test_what_may_have_lost_digits_is_no_id(value: object) -> None:
    with pytest.raises(ValueError, match="is "):
        id_text(value)


@pytest.mark.parametrize("item_id", ["a", "é" * 256, "a b", "a/b?c", " A1", "..", "a\u2028b"])
def test_ids_that_are_right(item_id: str) -> None:
    assert id_fault(item_id) is None


@pytest.mark.parametrize(
    "item_id", ["", "  ", "a\0", "a\nb", "a\x85", "x" * 513, "é" * 257, "\ud800"]
)
def test_ids_that_are_wrong(item_id: str) -> None:
    assert id_fault(item_id)


def test_titles_have_lines_and_no_other_controls() -> None:
    assert title_fault("hand\r\n\tcream") is None
    assert title_fault("é" * 32_768) is None
    assert title_fault("é" * 32_769)
    assert "U+0007" in str(title_fault("hand\x07cream"))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (["Food", "Tea"], ["Food", "Tea"]),
        ([["Food", "Tea"], ["Gifts"]], ["Food", "Tea"]),
        ("Food > Tea >", ["Food", "Tea"]),
        ("['Food', 'Tea']", ["Food", "Tea"]),
        ('["Food", null]', ["Food", None]),
        ("[sic]", ["[sic]"]),
        ([1, 2.5], ["1", "2.5"]),
        ([], []),
        (" ", None),
        (None, None),
    ],
)
def test_categories_of_every_form_are_one_path(value: object, path: object) -> None:
    assert category_path(value) == path


@pytest.mark.parametrize("value", [{"a": 1}, 7, ["a", ["b"]], ["a"] * 1001])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a list|holds lists|has 1001 names"):
        category_path(value)


def test_prices_are_finite_numbers() -> None:
    assert [price_of(value) for value in (3, " 12.5 ", "", None)] == [3.0, 12.5, None, None]
    for value in (
        "5 or 6",
        "10-20",
        "12 13",
        "2,5,7",
        "5 %",
        "free",
        "nan",
        float("inf"),
        10**400,
        [1],
    ):
        with pytest.raises(ValueError, match="not a finite number"):
            price_of(value)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("28.00 USD", 28.0), ("USD 28", 28.0), ("$5", 5.0), ("\u20ac 1.234,50", 1234.5),
        ("1,234.50", 1234.5), ("1,234", 1234.0), ("1.234", 1.234), ("12,5", 12.5),
        ("1.234.567", 1234567.0), ("CHF 1'299.00", 1299.0), ("1 299,00 kr", 1299.0),
        ("Rs. 1,23,456", 123456.0), ("R$ 10,00", 10.0), ("12.50\u20ac", 12.5), ("-5 z\u0142", -5.0),
    ],
)  # fmt: skip
def test_a_price_may_have_a_currency(text: str, price: float) -> None:
    assert price_of(text) == price
