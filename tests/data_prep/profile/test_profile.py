"""What is told of a catalogue's fields and texts."""

from pathlib import Path

import polars as pl
import pytest

from data_prep.embedding.encoders import load_encoder
from data_prep.embedding.readings import readings
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.profile.fields import control_rows, field_profiles, repeated_ids
from data_prep.profile.texts import profile_texts
from data_prep.profile.variants import VariantColumns, variant_columns
from data_prep.readers.table_files import TableFile, read_table_file


@pytest.fixture
def file(tmp_path: Path) -> TableFile:
    path = tmp_path / "i.csv"
    path.write_text("sku,name,size,junk\n1,Cup, ,x\n1,Cup,big,y\n2,,,z\n")
    return read_table_file(path)


def test_fields_are_described_with_the_column_that_they_come_from(file: TableFile) -> None:
    mapping = ColumnMapping(columns={"item_id": "sku", "title": "name"}, drop=("junk",))
    found = {each.field: each for each in field_profiles(file, mapping)}
    assert list(found) == ["item_id", "title", "size"]
    title = found["title"]
    assert (title.column, title.filled, title.distinct, title.example) == ("name", 2 / 3, 1, "Cup")
    assert found["size"].filled == pytest.approx(1 / 3)
    assert repeated_ids(file, mapping) == 1


def test_rows_with_control_characters_are_counted() -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b\x07", "c"], "title": ["x\x80", "y\n", "z"], "brand": ["\x07", None, "\0"]}
    )
    file = TableFile("f", frame, None, "CSV")
    assert control_rows(file, ColumnMapping(columns={"item_id": "id"})) == 2
    assert control_rows(file, ColumnMapping(columns={"item_id": "id"}, drop=("brand",))) == 1


def test_an_encoder_s_reading_shows_what_it_does_not_know(
    capfd: pytest.CaptureFixture[str],
) -> None:
    known, unknown, long = readings(load_encoder("minilm"), ["Red CUP", "抹茶 cup", "cup " * 400])
    assert (known.seen, known.unknown, known.cut) == ("red cup", 0, False)
    assert unknown.unknown == 2
    assert "[UNK]" in unknown.seen
    assert long.cut
    assert long.tokens == 400
    [pieces] = readings(load_encoder("minilm"), ["Lebensmittelfarbe"])
    assert pieces.pieces == pieces.tokens - 1 > 1
    assert "Token indices" not in capfd.readouterr().err


def test_texts_of_several_items_are_counted() -> None:
    texts = ["red cup", "red cup", "blue cup", "tea", "tea", "tea"]
    found = profile_texts(texts, load_encoder("hashing"))
    assert (found.identical_groups, found.identical_items) == (2, 5)
    assert (found.unknown, found.cut, found.shown) == (0, 0, ("red cup", "red cup", "blue cup"))
    assert found.tokens == pytest.approx(9 / 6)


SIZES = ["small", "medium", "large"] * 20
VARIANTS = pl.DataFrame(
    {
        "item_id": [f"V{row}" for row in range(60)],
        "parent_sku": [f"P{row // 3}" for row in range(60)],
        "title": [f"cup {row // 3}" for row in range(60)],
        "size": SIZES,
        "weight": [len(size) for size in SIZES],
        "maker": [f"{'Avila' if row < 30 else 'Calder'}" for row in range(60)],
        "note": [None] * 60,
    }
)


def test_columns_that_tell_variants_apart_are_found() -> None:
    found = variant_columns(VARIANTS, VARIANTS["title"].to_list(), ("title",))
    assert found == VariantColumns(("size",), "parent_sku")
    both = [f"{title} {size}" for title, size in zip(VARIANTS["title"], SIZES, strict=True)]
    assert variant_columns(VARIANTS, both, ("title", "size")) == VariantColumns()
    without = VARIANTS.drop("parent_sku", "size")
    assert variant_columns(without, without["title"].to_list(), ("title",)) == VariantColumns()
