import gzip
import json
from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.readers.amazon import read_metadata, read_reviews
from data_prep.sequences import in_time_order, k_core

STRICT = {"asin": "A1", "title": "Soap &amp; Water", "categories": [["Beauty", "Bath &amp; Body"]]}
LITERAL = "{'asin': 'A2', 'title': 'Bob\\'s \"Mug\"', 'price': 3.5, 'salesRank': {'Home': 1}}"


def _write(path: Path, *lines: str) -> Path:
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path


def test_strict_json_and_python_literals_are_read_and_entities_unescaped(tmp_path: Path) -> None:
    items = read_metadata(_write(tmp_path / "m.json.gz", json.dumps(STRICT), LITERAL))
    assert items["title"].to_list() == ["Soap & Water", 'Bob\'s "Mug"']
    assert items["categories"].to_list() == [["Beauty", "Bath & Body"], None]
    assert items["price"].to_list() == [None, 3.5]


def test_only_wanted_items_are_kept_and_further_texts_stay(tmp_path: Path) -> None:
    other = json.dumps({"asin": "A3", "derived_keywords": "a &lt; b"})
    items = read_metadata(_write(tmp_path / "m.json.gz", json.dumps(STRICT), other), keep={"A3"})
    assert items["item_id"].to_list() == ["A3"]
    assert items["derived_keywords"].to_list() == ["a < b"]


def test_broken_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: neither JSON nor a Python literal"):
        read_metadata(_write(tmp_path / "m.json.gz", json.dumps(STRICT), "{'asin': "))
    with pytest.raises(InputError, match=r"line 1: no field 'asin'"):
        read_metadata(_write(tmp_path / "m.json.gz", '{"title": "x"}'))
    with pytest.raises(InputError, match=r"line 1: no field 'asin'"):
        read_metadata(_write(tmp_path / "m.json.gz", '{"asin": ["x"]}'))
    with pytest.raises(InputError, match=r"line 1: neither JSON"):
        read_metadata(_write(tmp_path / "m.json.gz", "{[]: 1}"))
    with pytest.raises(InputError, match=r"line 1: reviewerID, asin"):
        read_reviews(_write(tmp_path / "r.json.gz", '{"reviewerID": "u", "asin": "a"}'))


@pytest.mark.parametrize("category", ["Beauty", "Sports_and_Outdoors", "Toys_and_Games"])
def test_published_sequences_come_out_for_every_user(real_data: Path, category: str) -> None:
    """The S3-Rec sequences, all users and all items, from reviews in file order."""
    folder = real_data / "amazon2014" / category
    interactions = in_time_order(k_core(read_reviews(folder / f"reviews_{category}_5.json.gz"), 5))
    sequences = interactions.group_by("user_id", maintain_order=True).agg("item_id")
    ours = dict(sequences.iter_rows())

    def ids(name: str) -> dict[str, str]:
        lines = gzip.decompress((folder / name).read_bytes()).decode().splitlines()[1:]
        return dict(line.split("\t") for line in lines)

    users, asins = ids("user_ids.tsv.gz"), ids("item_ids.tsv.gz")
    published = gzip.decompress((folder / f"{category}.txt.gz").read_bytes()).decode()
    theirs = {}
    for line in published.splitlines():
        user, *sequence = line.split()
        theirs[users[user]] = [asins[item] for item in sequence]
    assert ours == theirs


def test_beauty_has_its_published_size(real_data: Path) -> None:
    folder = real_data / "amazon2014" / "Beauty"
    interactions = read_reviews(folder / "reviews_Beauty_5.json.gz")
    items = read_metadata(folder / "meta_Beauty.json.gz", keep=set(interactions["item_id"]))
    assert interactions["user_id"].n_unique() == 22_363
    assert (items.height, interactions.height) == (12_101, 198_502)
    assert not items["title"].str.contains("&amp;|&#39;|&quot;").any()
