"""The Shopping Queries data set: real samples against a plain parse, and what stands in its way."""

from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.readers.esci import EsciCounts, prepare_esci
from tests.generated.esci import write_esci

EXAMPLES = "shopping_queries_dataset_examples.sample.parquet"
PRODUCTS = "shopping_queries_dataset_products.sample.parquet"
GAINS = {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return write_esci(tmp_path / "raw", products=400, queries=60)


def _tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.read_parquet(folder / "items.parquet"), pl.read_parquet(folder / "queries.parquet")


def _prepared(files: tuple[Path, Path], out: Path, **options: object) -> EsciCounts:
    out.mkdir(exist_ok=True)
    return prepare_esci([files[0]], [files[1]], out, **options)  # type: ignore[arg-type]


def _check_queries(raw: pl.DataFrame, queries: pl.DataFrame) -> None:
    """Compare row by row; only a training query may have become one for validation."""
    assert queries.height == raw.height
    for given, found in zip(raw.iter_rows(named=True), queries.iter_rows(named=True), strict=True):
        assert found["query_id"] == str(given["query_id"])
        assert (found["query"], found["item_id"]) == (given["query"], given["product_id"])
        assert found["esci_label"] == given["esci_label"]
        assert found["label"] == pytest.approx(GAINS[given["esci_label"]])
        assert found["positive"] == (given["esci_label"] == "E")
        split = given["split"] or "train"
        assert found["split"] in ({split, "validation"} if split == "train" else {split})


def test_the_real_sample_row_by_row(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "esci"
    counts = _prepared((folder / EXAMPLES, folder / PRODUCTS), tmp_path / "out")
    items, queries = _tables(tmp_path / "out")
    _check_queries(pl.read_parquet(folder / EXAMPLES), queries)
    raw = pl.read_parquet(folder / PRODUCTS)
    assert items["item_id"].to_list() == raw["product_id"].to_list()
    for ours, theirs in (
        ("title", "product_title"),
        ("brand", "product_brand"),
        ("description", "product_description"),
        ("color", "product_color"),
        ("bullet_points", "product_bullet_point"),
    ):
        assert items[ours].to_list() == raw[theirs].to_list()
    assert counts.judgements_in_file == 216
    assert counts.without_split == 200
    assert any("216 of 2,621,288" in line for line in counts.told())


def test_the_joined_table_alone(real_data: Path, tmp_path: Path) -> None:
    """As mirrors have it; ids are texts there, and labels may be words."""
    raw = pl.read_parquet(real_data / "esci_more" / "examples_with_text_485.parquet")
    spelt = {"E": "Exact", "S": "Substitute", "C": "Complement", "I": "Irrelevant"}
    mirror = tmp_path / "mirror.parquet"
    raw.with_columns(pl.col("esci_label").replace(spelt)).write_parquet(mirror)
    (tmp_path / "out").mkdir()
    prepare_esci([mirror], [], tmp_path / "out")
    items, queries = _tables(tmp_path / "out")
    _check_queries(raw, queries)
    assert items["item_id"].to_list() == raw["product_id"].unique(maintain_order=True).to_list()
    assert items["title"].to_list() == raw["product_title"].to_list()


def test_versions_locales_and_positives(made: tuple[Path, Path], tmp_path: Path) -> None:
    large = _prepared(made, tmp_path / "large", positive="ES")
    _, queries = _tables(tmp_path / "large")
    assert set(queries.filter(pl.col("positive"))["esci_label"]) == {"E", "S"}
    small = _prepared(made, tmp_path / "small", version="small")
    assert small.items == large.items == 400
    assert sum(small.queries.values()) == 30
    assert sum(large.queries.values()) == 60
    with pytest.raises(InputError, match="no judgement of locale jp in the large version"):
        _prepared(made, tmp_path / "jp", locale="jp")


def test_a_validation_query_is_one_on_every_run(made: tuple[Path, Path], tmp_path: Path) -> None:
    first = _prepared(made, tmp_path / "a", validation=0.3)
    assert first == _prepared(made, tmp_path / "b", validation=0.3)
    _, queries = _tables(tmp_path / "a")
    assert queries.equals(_tables(tmp_path / "b")[1])
    assert 0 < first.queries["validation"] < first.queries["train"]
    splits = queries.group_by("query_id").agg(pl.col("split").n_unique())
    assert set(splits["split"]) == {1}


def test_what_stands_in_place_of_the_data_is_named(made: tuple[Path, Path], tmp_path: Path) -> None:
    pointer = tmp_path / "pointer.parquet"
    pointer.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1108200000\n"
    )
    with pytest.raises(InputError, match=r"Git-LFS pointer of \d+ bytes.*git lfs pull"):
        _prepared((made[0], pointer), tmp_path / "out")
    (tmp_path / "empty.parquet").touch()
    with pytest.raises(InputError, match="the file is empty"):
        _prepared((tmp_path / "empty.parquet", made[1]), tmp_path / "out")
    (tmp_path / "text.parquet").write_text("query,product_id\n")
    with pytest.raises(InputError, match="not a readable parquet file"):
        _prepared((tmp_path / "text.parquet", made[1]), tmp_path / "out")
    with pytest.raises(InputError, match="no column 'query'"):
        _prepared((made[1], made[1]), tmp_path / "out")
    with pytest.raises(InputError, match=r"no column 'product_title'.*as it was published"):
        _prepared((made[0], made[0]), tmp_path / "out")
    with pytest.raises(InputError, match=r"no column 'product_title'.*the file of products too"):
        prepare_esci([made[0]], [], tmp_path)


def _changed(path: Path, out: Path, **columns: pl.Expr) -> Path:
    pl.read_parquet(path).with_columns(**columns).write_parquet(out)
    return out


def test_unknown_labels_locales_and_splits_are_named(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    third = pl.int_range(pl.len()) == 2
    for column, value in (("esci_label", "X"), ("product_locale", "fr"), ("split", "dev")):
        wrong = pl.when(third).then(pl.lit(value)).otherwise(column)
        bad = _changed(made[0], tmp_path / "bad.parquet", **{column: wrong})
        with pytest.raises(InputError, match=rf"row 3: {column} '{value}' is unknown"):
            _prepared((bad, made[1]), tmp_path / "out")
    lost = pl.when(~third).then("query")
    bad = _changed(made[0], tmp_path / "bad.parquet", query=lost)
    with pytest.raises(InputError, match="row 3: no query"):
        _prepared((bad, made[1]), tmp_path / "out")
    for option in ("locale", "version", "positive"):
        with pytest.raises(InputError, match=f"unknown {option} 'x'"):
            _prepared(made, tmp_path / "out", **{option: "x"})


def test_what_stands_twice_is_named(made: tuple[Path, Path], tmp_path: Path) -> None:
    products = pl.read_parquet(made[1])
    pl.concat([products, products[7:8]]).write_parquet(tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="product 'B000000007' of locale us occurs twice"):
        _prepared((made[0], tmp_path / "twice.parquet"), tmp_path / "out")
    other = products[7:8].with_columns(product_locale=pl.lit("es"))
    pl.concat([products, other]).write_parquet(tmp_path / "two.parquet")
    assert _prepared((made[0], tmp_path / "two.parquet"), tmp_path / "out").items == 400
    examples = pl.read_parquet(made[0])
    pl.concat([examples, examples[:1]]).write_parquet(tmp_path / "judged.parquet")
    with pytest.raises(InputError, match=r"query 0 judges product B\d+ twice"):
        _prepared((tmp_path / "judged.parquet", made[1]), tmp_path / "out")


def test_queries_without_a_positive_and_products_without_text_are_counted(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    demoted = pl.when(pl.col("query_id").is_in([0, 1])).then(pl.lit("S")).otherwise("esci_label")
    bad = _changed(made[0], tmp_path / "bad.parquet", esci_label=demoted)
    first = pl.int_range(pl.len()) == 0
    blank = {
        name: pl.when(~first).then(name).otherwise(pl.lit(" "))
        for name in pl.read_parquet_schema(made[1])
        if name not in ("product_id", "product_locale")
    }
    fewer = pl.read_parquet(_changed(made[1], tmp_path / "p.parquet", **blank))
    fewer.filter(pl.col("product_id") != "B000000005").write_parquet(tmp_path / "p.parquet")
    counts = _prepared((bad, tmp_path / "p.parquet"), tmp_path / "out", validation=0.0)
    assert counts.without_positive == {"train": 1, "validation": 0, "test": 1}
    assert counts.items_without_text == 1
    judged = pl.read_parquet(bad).filter(pl.col("product_id") == "B000000005").height
    assert counts.without_product == judged
    told = "\n".join(counts.told())
    for words in ("1 test queries have no positive", "1 products have no text", "left out: "):
        assert words in told
