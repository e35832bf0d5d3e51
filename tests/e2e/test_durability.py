"""Acknowledged IDs survive many writers, killed writers, a stopped database and a full disk.

If the environment variable SEMID_FIGURES names a JSON file, the figures are written to it.
"""

import json
import os
import random
import resource
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from string import ascii_letters
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.storage.files import written_aside
from service.registry import open_database
from service.registry.reader import RegistryReader
from service.registry.tokenizers import default_tokenizer
from tests.e2e.server import serving
from tests.e2e.writers import Writer, all_ids, check_suffixes, sqlite_is_whole
from tests.service.databases import Postgres, sqlite_url

pytestmark = pytest.mark.slow
KILLS = 50


@pytest.fixture(scope="module")
def durable() -> Iterator[Postgres]:
    """Return a PostgreSQL server whose commits wait for the disk."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new registry, in SQLite and in PostgreSQL."""
    postgres: Postgres = request.getfixturevalue("durable")
    url = sqlite_url(tmp_path) if request.param == "sqlite" else postgres.new()
    open_database(url).close()
    return url


def _keep(name: str, url: str, figures: dict[str, Any]) -> None:
    if not (file := os.environ.get("SEMID_FIGURES")):
        return
    path = Path(file)
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept.setdefault(name, {})[url.partition(":")[0].partition("+")[0]] = figures
    with written_aside(path) as aside:
        aside.write_text(json.dumps(kept, indent=2) + "\n")


def test_four_processes_of_two_thousand_colliding_items(url: str) -> None:
    """Every ID belongs to one item, and suffixes have no gap."""
    start = time.perf_counter()
    writers = [Writer(url, str(number), 2000) for number in range(4)]
    acknowledged = {item: given for writer in writers for item, given in writer.finished().items()}
    seconds = time.perf_counter() - start
    assert len(acknowledged) == len(set(acknowledged.values())) == 8000
    assert all_ids(url) == acknowledged
    check_suffixes(acknowledged)
    _keep("four_processes", url, {"items": 8000, "items_per_second": 8000 / seconds})


def test_a_writer_killed_at_random_moments_loses_nothing(url: str) -> None:
    """After each of 50 kills: reported IDs are kept, IDs are unique, and writing goes on."""
    moments = random.Random(0)
    acknowledged: dict[str, str] = {}
    for kill in range(KILLS):
        acknowledged |= Writer(url, f"k{kill}").killed_after(moments.uniform(0, 0.2))
        kept = all_ids(url)
        assert kept.items() >= acknowledged.items()
        assert len(set(kept.values())) == len(kept)
        check_suffixes(kept)
        acknowledged |= Writer(url, f"after{kill}", 1).finished()
    kept = all_ids(url)
    if url.startswith("sqlite"):
        assert sqlite_is_whole(Path(url.removeprefix("sqlite:///")))
    _keep(
        "killed_writer",
        url,
        {
            "kills": KILLS,
            "told": len(acknowledged),
            "lost": len(acknowledged.keys() - kept.keys()),
            "committed_untold": len(kept) - len(acknowledged),
        },
    )


class _Load:
    """Clients that post new items without a pause and remember each answer."""

    def __init__(self, address: str, vectors: NDArray[np.float32], title: str = "") -> None:
        self.acknowledged: dict[str, str] = {}
        self.answers: list[tuple[float, int]] = []
        self._vectors = vectors.tolist()
        self._title = title
        self._client = httpx.Client(base_url=address, timeout=60)
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._post, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def post(self, name: str, rows: range) -> httpx.Response:
        items = [
            {
                "item_id": f"{name}-{row}",
                "vector": self._vectors[row % len(self._vectors)],
                "title": self._title or None,
            }
            for row in rows
        ]
        answer = self._client.post("/v1/tokenize", json={"items": items})
        self.answers.append((time.perf_counter(), answer.status_code))
        if answer.status_code == 200:
            self.acknowledged |= {i["item_id"]: i["semantic_id"] for i in answer.json()["items"]}
        else:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer

    def close(self) -> None:
        self._client.close()

    def lost(self) -> int:
        """Return how many acknowledged items do not have the ID of their answer."""
        assert len(set(self.acknowledged.values())) == len(self.acknowledged)
        found = {item: self._client.get(f"/v1/items/{item}").json() for item in self.acknowledged}
        return sum(
            found[item].get("semantic_id") != given for item, given in self.acknowledged.items()
        )

    def since(self, moment: float) -> Counter[int]:
        return Counter(status for when, status in self.answers if when > moment)

    def _post(self, number: int) -> None:
        for start in range(0, 10**6, 5):
            if self._stop.is_set():
                return
            if self.post(f"c{number}", range(start, start + 5)).status_code != 200:
                time.sleep(0.1)


def test_postgresql_stopped_and_started_under_load(
    tmp_path: Path, tokenizer_folder: Path, vectors: NDArray[np.float32]
) -> None:
    """503 while it is stopped, then answers without a restart; no acknowledged ID is lost."""
    server = Postgres()
    url = server.new()
    arguments = ("--tokenizer", tokenizer_folder, "--database", url)
    with (
        serving(tmp_path / "log", *arguments) as address,
        closing(_Load(address, vectors)) as load,
    ):
        with load.running():
            time.sleep(3)
            stopped = time.perf_counter()
            server.stop()
            time.sleep(3)
            assert httpx.get(f"{address}/health/live").status_code == 200
            assert httpx.get(f"{address}/health/ready", timeout=60).status_code == 503
            away = load.since(stopped)
            server.start()
            started = time.perf_counter()
            while load.since(started)[200] < 20:
                assert time.perf_counter() - started < 60
                time.sleep(0.1)
        recovered = next(w for w, status in load.answers if w > started and status == 200)
        lost = load.lost()
        assert httpx.get(f"{address}/health/ready", timeout=60).status_code == 200
    assert lost == 0
    assert away[503] > 0
    assert Counter(status for _, status in load.answers).keys() == {200, 503}
    _keep(
        "stopped_under_load",
        url,
        {"told": len(load.acknowledged), "lost": lost, "answers_503": away[503],
         "seconds_to_recover": recovered - started},
    )  # fmt: skip
    server.close()


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _until_full(load: _Load) -> tuple[int, httpx.Response]:
    for number in range(2000):
        answer = load.post(f"f{number}", range(5))
        if answer.status_code != 200:
            return number, answer
    raise AssertionError("the disk did not fill up")


def _ids(url: str) -> dict[str, str]:
    """Return every item's ID under the default tokenizer, read through a new connection."""
    with open_database(url) as database:
        tokenizer = default_tokenizer(database)
        assert tokenizer is not None
        items = RegistryReader(database, tokenizer).with_prefix((), 10**9)
    return {item.item_id: item.semantic_id for item in items}


@pytest.mark.parametrize(("kind", "size"), [("sqlite", "4m"), ("postgresql", "16m")])
def test_a_full_disk_gets_507_and_damages_nothing(
    tmp_path: Path, tokenizer_folder: Path, vectors: NDArray[np.float32], kind: str, size: str
) -> None:
    """When there is room again, the service goes on without a restart."""
    disk = Path(tempfile.mkdtemp(prefix="semid-disk-"))  # PostgreSQL's user cannot read tmp_path
    disk.chmod(0o755)
    with _small_disk(disk, size), ExitStack() as stack:
        url = sqlite_url(disk)
        if kind == "postgresql":
            server = Postgres()
            stack.callback(server.close)
            url = server.new(disk)
        arguments = ("--tokenizer", tokenizer_folder, "--database", url)
        title = "".join(
            random.choices(ascii_letters, k=5000)
        )  # random, so that no database compresses it
        with (
            serving(tmp_path / "log", *arguments, "--index-cache", tmp_path) as address,
            closing(_Load(address, vectors, title)) as load,
        ):
            _, answer = _until_full(load)
            assert answer.status_code == 507, answer.text
            assert answer.json()["type"] != "about:blank"
            assert load.lost() == 0
            resize = ["mount", "-o", "remount,size=64m", str(disk)]
            subprocess.run(resize, check=True)
            assert load.post("more", range(50)).status_code == 200
        kept = _ids(url)
        lost = sum(kept.get(item) != given for item, given in load.acknowledged.items())
        assert lost == 0
        assert kind == "postgresql" or sqlite_is_whole(disk / "semid.db")
    disk.rmdir()
    _keep("full_disk", f"{kind}:", {"told": len(load.acknowledged), "lost": lost, "status": 507})


def test_a_file_size_limit_gets_503_and_damages_nothing(
    tmp_path: Path, tokenizer_folder: Path, vectors: NDArray[np.float32]
) -> None:
    """Files are limited to 2 MB, as by a quota; afterwards all acknowledged IDs are kept."""
    arguments = ("--tokenizer", tokenizer_folder, "--database", sqlite_url(tmp_path))
    with (
        serving(tmp_path / "log1", *arguments) as address,
        closing(_Load(address, vectors, title="x" * 5000)) as load,
    ):
        assert load.post("first", range(5)).status_code == 200
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))  # inherited by the service
    try:
        with (
            serving(tmp_path / "log2", *arguments) as address,
            closing(_Load(address, vectors, title="x" * 5000)) as limited,
        ):
            _, answer = _until_full(limited)
            assert answer.status_code in {503, 507}
            assert limited.lost() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with (
        serving(tmp_path / "log3", *arguments) as address,
        closing(_Load(address, vectors)) as again,
    ):
        again.acknowledged = load.acknowledged | limited.acknowledged
        assert again.lost() == 0
        assert again.post("last", range(50)).status_code == 200
    assert sqlite_is_whole(tmp_path / "semid.db")
