"""`semid embed --image-column`: images of items → vectors."""

from pathlib import Path

import polars as pl
from PIL import Image

from tests.data_prep.embedding.small_models import small_clip
from tests.service.cli.command import Command, refused


def test_a_column_of_images_becomes_vectors(semid: Command, tmp_path: Path) -> None:
    model = small_clip(tmp_path / "clip")
    names = ["a.png", "b.png", "c.jpg"]
    for shade, name in enumerate(names):
        Image.new("RGB", (40, 30), (80 * shade, 40, 40)).save(tmp_path / name)
    table = pl.DataFrame({"sku": ["a", "b", "c"], "image": names})
    table.write_csv(tmp_path / "shop.csv")
    embedded = ("embed", tmp_path / "shop.csv", "--image-column", "image", "--out", "v.parquet")
    done = semid(*embedded, "--encoder", model)
    assert done.code == 0, done.errors
    assert pl.read_parquet("v.parquet")["vector"].to_numpy().shape == (3, 12)
    refused(semid(*embedded, "--encoder", "hashing"), "reads no images")
    wrong = ("embed", tmp_path / "shop.csv", "--image-column", "picture", "--out", "w.parquet")
    refused(semid(*wrong, "--encoder", model), "no column 'picture'")
