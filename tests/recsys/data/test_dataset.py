from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from tests.recsys.conftest import dataset_of

SMALL = dataset_of([[0, 1, 2, 3, 4, 5, 6], [6, 5, 4], [1, 2, 3, 3]], 8)


def test_the_last_item_is_for_the_test_and_the_one_before_for_validation() -> None:
    assert SMALL.targets("test").tolist() == [6, 4, 3]
    assert SMALL.targets("validation").tolist() == [5, 5, 3]
    assert SMALL.histories("validation").tolist() == [
        [0, 1, 2, 3, 4], [6, -1, -1, -1, -1], [1, 2, -1, -1, -1]
    ]  # fmt: skip
    assert SMALL.histories("test", 3).tolist() == [[3, 4, 5], [6, 5, -1], [1, 2, 3]]
    assert SMALL.popularity.tolist() == [1, 2, 2, 1, 1, 0, 1, 0]


def test_windows_are_cut_from_the_newest_backwards() -> None:
    """A user with one training item gives no window."""
    assert SMALL.training_windows(2).tolist() == [[2, 3, 4], [0, 1, 2], [1, 2, -1]]
    assert SMALL.training_windows(9).tolist() == [
        [0, 1, 2, 3, 4, -1, -1, -1, -1, -1], [1, 2, -1, -1, -1, -1, -1, -1, -1, -1]
    ]  # fmt: skip
    with pytest.raises(InputError, match="four interactions"):
        dataset_of([[0, 1, 2]], 3).training_windows(5)


def test_every_prefix_is_followed_by_its_target() -> None:
    users, rows = SMALL.training_prefixes(2)
    assert users.tolist() == [0, 0, 0, 0, 2]
    assert rows.tolist() == [[0, 1, -1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [1, 2, -1]]
    assert SMALL.training_prefixes(9)[1][3].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="four interactions"):
        dataset_of([[0, 1, 2]], 3).training_prefixes(5)


@pytest.mark.parametrize("length", [1, 3, 20])
def test_every_training_event_but_a_user_s_first_is_a_target_once(
    dataset: SequenceDataset, length: int
) -> None:
    windows = dataset.training_windows(length)
    targets = windows[:, 1:]
    rows = dataset.histories("validation")[:, 1:]
    assert sorted(targets[targets >= 0]) == sorted(rows[rows >= 0])
    assert windows.shape[1] == length + 1
    assert windows.dtype == rows.dtype == np.int64
    assert ((windows[:, :-1] >= 0) >= (targets >= 0)).all()  # padding is at the end


def test_a_saved_dataset_loads_unchanged(dataset: SequenceDataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "data.safetensors")
    back = SequenceDataset.load(tmp_path / "data.safetensors")
    assert back.fingerprint == dataset.fingerprint
    for name in ("item_ids", "user_ids", "codebook_size", "source", "tokenizer"):
        assert getattr(back, name) == getattr(dataset, name), name
    for name in ("events", "offsets", "codes", "suffixes", "vectors"):
        assert getattr(back, name).dtype == getattr(dataset, name).dtype, name
        np.testing.assert_array_equal(getattr(back, name), getattr(dataset, name))
    SMALL.save(tmp_path / "small.safetensors")
    small = SequenceDataset.load(tmp_path / "small.safetensors")
    assert small.codes is None
    assert small.vectors is None


def test_ids_of_any_script_survive(tmp_path: Path) -> None:
    ends = np.array([0, 3])
    data = SequenceDataset(("ä", "", "日本"), ("ü",), SMALL.events[:3], ends)
    data.save(tmp_path / "data.safetensors")
    assert SequenceDataset.load(tmp_path / "data.safetensors").item_ids == ("ä", "", "日本")


def test_a_changed_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.safetensors"
    with pytest.raises(InputError, match="cannot be read"):
        SequenceDataset.load(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(InputError, match="cannot be read"):
        SequenceDataset.load(path)
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(InputError, match="format None"):
        SequenceDataset.load(path)
    save_file({"weights": np.zeros(3)}, path, {"format": "1"})
    with pytest.raises(InputError, match="damaged"):
        SequenceDataset.load(path)
    SMALL.save(path)
    notes = {"format": "1", "fingerprint": SMALL.fingerprint, "codebook_size": "0"}
    arrays = load_file(path)
    arrays["events"][0] += 1
    save_file(arrays, path, {**notes, "source": "", "tokenizer": ""})
    with pytest.raises(InputError, match="has changed"):
        SequenceDataset.load(path)


def test_the_fingerprint_tells_data_apart() -> None:
    again = dataset_of([[0, 1, 2, 3, 4, 5, 6], [6, 5, 4], [1, 2, 3, 3]], 8)
    assert again.fingerprint == SMALL.fingerprint
    other = dataset_of([[0, 1, 2, 3, 4, 5, 6], [6, 5], [4, 1, 2, 3, 3]], 8)
    assert other.fingerprint != SMALL.fingerprint


def test_items_held_out_have_no_training_event(dataset: SequenceDataset) -> None:
    held = dataset.without_training_events(0.3, seed=1)
    gone = (held.popularity == 0) & (dataset.popularity > 0)
    assert 0.2 * dataset.n_items < gone.sum() < 0.35 * dataset.n_items
    place = {user: number for number, user in enumerate(dataset.user_ids)}
    assert set(held.user_ids) <= set(place)
    for number, user in enumerate(held.user_ids):
        own = held.events[held.offsets[number] : held.offsets[number + 1]]
        before = dataset.events[slice(*dataset.offsets[place[user] : place[user] + 2])]
        assert own[-2:].tolist() == before[-2:].tolist()
        kept = [item for item in before[:-2] if not gone[item]]
        assert own[:-2].tolist() == kept
        assert len(own) >= 3
    unseen = held.popularity[held.targets("test")] == 0
    assert unseen.any()
    assert held.fingerprint != dataset.fingerprint
    assert held.fingerprint == dataset.without_training_events(0.3, seed=1).fingerprint
    for share in (0, 1, -0.1):
        with pytest.raises(InputError, match="between 0 and 1"):
            dataset.without_training_events(share)


def test_a_catalogue_knows_popularity_without_users(
    dataset: SequenceDataset, tmp_path: Path
) -> None:
    alone = dataset.without_users()
    alone.save(tmp_path / "c")
    again = SequenceDataset.load(tmp_path / "c")
    assert again.n_users == 0
    assert (again.popularity == dataset.popularity).all()
    assert again.item_ids == dataset.item_ids
