"""Images from folders, archives, tables and IDX files; what is wrong with them is named."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from data_prep.errors import InputError
from tests.tokenizer.images.pictures import SIDE, drawn, written
from tokenizer.images.data.reading import read_images


def _png(pixels: np.ndarray) -> bytes:
    kept = io.BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return kept.getvalue()


def test_sizes_and_modes_are_converted_and_broken_files_are_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "images", 24)
    Image.fromarray(drawn(1)[0]).resize((40, 20)).save(folder / "red" / "wide.jpg")
    Image.fromarray(drawn(1)[0]).convert("L").save(folder / "red" / "grey.png")
    Image.fromarray(drawn(1)[0]).convert("RGBA").save(folder / "red" / "clear.png")
    whole = _png(drawn(1)[0])
    (folder / "green" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "green" / "text.jpg").write_text("no image")
    found = read_images(folder, SIDE)
    assert found.pixels.shape == (27, 3, SIDE, SIDE)
    assert (found.resized, found.converted) == (1, 2)
    assert set(found.broken) == {"green/cut.png", "green/text.jpg"}
    assert found.classes == ("green", "red")
    assert found.labels.tolist() == [0] * 12 + [1] * 15
    resized, converted, broken = found.notes()
    assert resized == "1 of 27 images were brought to 16 × 16"
    assert converted == "2 of 27 images were converted to RGB"
    assert broken.startswith("2 images cannot be decoded and are left out: green/cut.png, green/")
    np.testing.assert_array_equal(found.pixels[0].transpose(1, 2, 0), drawn(24)[1])


def test_every_source_gives_the_same_images(tmp_path: Path) -> None:
    folder = written(tmp_path / "images", 24)
    wanted = read_images(folder, SIDE)
    files = sorted(folder.rglob("*.png"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in reversed(files):
            archive.write(file, f"deep/{file.parent.name}/{file.name}")
    contents = [file.read_bytes() for file in files]
    labels = [file.parent.name for file in files]
    pl.DataFrame({"label": labels, "jpeg": contents}).write_parquet(tmp_path / "a.parquet")
    structs = [{"bytes": content, "path": None} for content in contents]
    pl.DataFrame({"image": structs, "label": labels}).write_parquet(tmp_path / "b.parquet")
    for name in ("all.zip", "a.parquet", "b.parquet"):
        found = read_images(tmp_path / name, SIDE)
        assert found.digest == wanted.digest, name
        assert found.classes == wanted.classes


def test_idx_files_have_their_labels_beside(tmp_path: Path) -> None:
    grey = drawn(22)[..., 0]
    head = np.array([2051, *grey.shape], ">i4").tobytes()
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(head + grey.tobytes()))
    assert read_images(path, SIDE).classes == ()
    labels = np.arange(22, dtype=np.uint8) % 2
    beside = tmp_path / "t10k-labels-idx1-ubyte.gz"
    beside.write_bytes(gzip.compress(np.array([2049, 22], ">i4").tobytes() + labels.tobytes()))
    found = read_images(path, SIDE)
    assert found.labels.tolist() == labels.tolist()
    assert found.converted == 22
    np.testing.assert_array_equal(found.pixels[:, 1], grey)
    path.write_bytes(gzip.compress(head + grey.tobytes()[:-1]))
    with pytest.raises(InputError, match="cut off"):
        read_images(path, SIDE)
    path.write_bytes(b"\x1f\x8b broken")
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_images(path, SIDE)


def test_classes_for_some_images_only_are_no_classes_of_theirs(tmp_path: Path) -> None:
    folder = written(tmp_path / "images", 24)
    Image.fromarray(drawn(1)[0]).save(folder / "alone.png")
    assert read_images(folder, SIDE).labels.tolist()[0] == -1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, "does not exist"),
        ("empty", "", "holds no images"),
        ("text.csv", b"a,b", "give a folder of images"),
        ("bad.zip", b"PK no", "no zip archive"),
        ("bad.parquet", b"PAR1", "no parquet table"),
    ],
)
def test_what_holds_no_images_is_refused(
    name: str, content: bytes | str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content == "":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_images(path, SIDE)


def test_tables_without_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"label": ["a"], "url": ["b"]}).write_parquet(path)
    with pytest.raises(InputError, match=r"no column of images; .*it has label, url"):
        read_images(path, SIDE)
    pl.DataFrame({"image": ["a"]}).write_parquet(path)
    with pytest.raises(InputError, match="must have bytes"):
        read_images(path, SIDE)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="19 images are too few"):
        read_images(written(tmp_path / "images", 19), SIDE)
