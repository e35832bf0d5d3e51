import json
from pathlib import Path

import pytest

from tests.bench.shapes.tables import best_shape, regret
from tokenizer.advice.shape import Shape, proposed_shape, single_prefixes


@pytest.mark.parametrize(
    ("items", "shape"), [(20, "8 × 8"), (1000, "8 × 16"), (10_000, "5 × 64"), (10**6, "4 × 256")]
)
def test_the_shape_follows_the_number_of_items(items: int, shape: str) -> None:
    assert str(proposed_shape(items)) == shape


def test_every_catalogue_gets_a_shape_with_room_and_shared_prefixes() -> None:
    for items in (*range(1, 300), *range(300, 300_000, 997)):
        shape = proposed_shape(items)
        assert shape.codebook_size**shape.levels >= 64 * items
        assert shape.bits <= 32
        if items >= 90:
            assert items / shape.codebook_size**2 >= 1.4
    assert isinstance(proposed_shape(0), Shape)


STUDY = Path(__file__).parents[3] / "bench" / "shapes.json"


def test_the_rule_is_near_the_best_shape_of_each_catalogue_of_the_study() -> None:
    """Of those that any shape of 32 bits suits; sports, which would do with more, is the worst."""
    found = {name: each for name, each in json.loads(STUDY.read_text()).items() if best_shape(each)}
    assert len(found) >= 10
    off = {}
    for name, each in found.items():
        shape = proposed_shape(each["distinct"])
        off[name] = regret(each, shape.levels, shape.codebook_size)
    assert off.pop("sports") == pytest.approx(0.12, abs=0.01)
    assert set(off.values()) == {0}


def test_the_share_of_single_prefixes_is_between_none_and_all() -> None:
    assert single_prefixes(10_000, 256) == pytest.approx(0.93, abs=0.01)
    assert single_prefixes(1, 256) == pytest.approx(1, abs=0.01)
    assert single_prefixes(10**7, 16) == 0
