import json
from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import InputError
from recsys.language_tokens import LanguageTokens


def _ids(*rows: tuple[str, list[int], int]) -> pl.DataFrame:
    schema = {"item_id": pl.String(), "codes": pl.List(pl.UInt16), "suffix": pl.UInt32()}
    return pl.DataFrame(list(rows), schema, orient="row")


def test_an_id_becomes_a_word_a_level(tmp_path: Path) -> None:
    LanguageTokens.of(_ids(("x", [12, 240, 3], 0), ("y", [0, 0, 255], 0)), 256).write(
        tmp_path / "w"
    )
    vocabulary = json.loads((tmp_path / "w" / "vocabulary.json").read_text())
    assert len(vocabulary) == 3 * 256
    assert (tmp_path / "w" / "tokens.txt").read_text().split() == list(vocabulary)
    items = pl.read_parquet(tmp_path / "w" / "items.parquet")
    assert items["tokens"].to_list() == ["<a_12><b_240><c_3>", "<a_0><b_0><c_255>"]
    assert items["token_ids"].to_list() == [[12, 256 + 240, 512 + 3], [0, 256, 767]]
    for text, numbers in items.select("tokens", "token_ids").iter_rows():
        words = text.replace("><", "> <").split()
        assert [vocabulary[word] for word in words] == numbers


def test_with_a_suffix_every_item_has_a_word_for_it() -> None:
    tokens = LanguageTokens.of(_ids(("x", [1, 2], 0), ("y", [1, 2], 3)), 4, headroom=2)
    assert tokens.items["tokens"].to_list() == ["<a_1><b_2><c_0>", "<a_1><b_2><c_3>"]
    assert tokens.words[-1] == "<c_5>"
    assert tokens.items["token_ids"].to_list() == [[1, 6, 8], [1, 6, 11]]


def test_a_table_without_ids_is_refused() -> None:
    with pytest.raises(InputError, match="has no IDs"):
        LanguageTokens.of(_ids(), 4)
