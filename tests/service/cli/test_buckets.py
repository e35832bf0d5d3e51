"""Catalogues in a bucket, over the S3 protocol: moto answers as S3 does, on this machine."""

import socket
from collections.abc import Iterator
from pathlib import Path

import fsspec
import polars as pl
import pytest

from data_prep.demo import demo_items
from data_prep.errors import InputError
from data_prep.parts.table import Parts
from tests.service.cli.command import SMALL, Command, refused

server = pytest.importorskip("moto.server", reason="pip install 'moto[s3]' flask flask-cors s3fs")
s3fs = pytest.importorskip("s3fs")
ITEMS = demo_items(300)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """Serve the bucket `shop` with 300 items in three parts, in s3://shop/items."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    _use(monkeypatch, running.get_host_and_port()[1], tmp_path)
    system = fsspec.filesystem("s3")
    system.mkdir("shop")
    for number in range(3):
        with system.open(f"shop/items/{number}.parquet", "wb") as file:
            ITEMS.slice(100 * number, 100).write_parquet(file)
    yield system
    system.rm("shop", recursive=True)  # the server keeps buckets as long as the process runs
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def _use(monkeypatch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    """Let S3 be at a port of this machine, whatever the user's own settings say."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


def test_parts_in_a_bucket_are_read_as_a_folder(bucket: fsspec.AbstractFileSystem) -> None:
    table = Parts.of("s3://shop/items")
    assert [file.url for file in table.files] == [
        f"s3://shop/items/{at}.parquet" for at in range(3)
    ]
    read = pl.concat(table.batches(0, table.rows, 70))
    assert read.equals(ITEMS)
    some = Parts.of("s3://shop/items/[12].parquet")
    assert pl.concat(some.batches(150, 160, 70)).equals(ITEMS.slice(250, 10))
    bucket.pipe("shop/items/1.parquet", bucket.cat("shop/items/2.parquet"))
    with pytest.raises(InputError, match=r"s3://shop/items/1\.parquet cannot be read"):
        list(table.batches(100, 200, 70))


def test_a_bucket_is_fitted_tokenized_and_imported(
    bucket: fsspec.AbstractFileSystem, semid: Command
) -> None:
    """As the same parts on this machine are, byte for byte."""
    bucket.get("shop/items", "items", recursive=True)
    assert semid("fit", "s3://shop/items", "--out", "tok", "--sample", 200, *SMALL).code == 0
    for items, out in (("s3://shop/items", "remote"), ("items", "local")):
        done = semid("tokenize", items, "--tokenizer", "tok", "--out", out, "--part-rows", 100)
        assert done.code == 0, done.errors
    parts = sorted(path.name for path in Path("local").glob("part-*"))
    assert len(parts) == 3
    for name in parts:
        assert (Path("remote") / name).read_bytes() == (Path("local") / name).read_bytes()
    url = "sqlite:///semid.db"
    told = semid("import", "remote", "--catalogue", "s3://shop/items", "--database", url)
    assert "300 IDs added" in told.output, told.errors
    vectors = semid("embed", "s3://shop/items", "--encoder", "hashing", "--out", "vectors")
    assert "300 vectors" in vectors.output, vectors.errors


@pytest.mark.usefixtures("bucket")
def test_what_a_bucket_lacks_is_told(semid: Command) -> None:
    assert semid("fit", "s3://shop/items", "--out", "tok", *SMALL).code == 0
    for items, said in (
        ("s3://none/items", "s3://none/items does not exist"),
        ("s3://shop/none", "s3://shop/none does not exist"),
        ("s3://shop/items/*.csv", "no .parquet file is there"),
    ):
        refused(semid("tokenize", items, "--tokenizer", "tok", "--out", "ids"), said)
    assert not Path("ids").exists()


def test_storage_that_does_not_answer_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    _use(monkeypatch, port, tmp_path)
    with pytest.raises(InputError, match="s3://shop/items cannot be reached"):
        Parts.of("s3://shop/items")
    s3fs.S3FileSystem.clear_instance_cache()
