import pytest

from tokenizer.advice.shape import Shape, proposed_shape, single_prefixes


@pytest.mark.parametrize(
    ("items", "shape"), [(20, "6 × 4"), (1000, "6 × 8"), (10_000, "4 × 32"), (10**6, "4 × 256")]
)
def test_the_shape_follows_the_number_of_items(items: int, shape: str) -> None:
    assert str(proposed_shape(items)) == shape


def test_every_catalogue_gets_a_shape_with_room_and_shared_prefixes() -> None:
    for items in (*range(1, 300), *range(300, 300_000, 997)):
        shape = proposed_shape(items)
        assert shape.codebook_size**shape.levels >= 64 * items
        if items >= 200:
            assert items / shape.codebook_size**2 >= 4
    assert isinstance(proposed_shape(0), Shape)


def test_the_share_of_single_prefixes_is_between_none_and_all() -> None:
    assert single_prefixes(10_000, 256) == pytest.approx(0.93, abs=0.01)
    assert single_prefixes(1, 256) == pytest.approx(1, abs=0.01)
    assert single_prefixes(10**7, 16) == 0
