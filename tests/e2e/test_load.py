"""A real process: a metrics port, a stop under load, stalled clients, a very long bulk request."""

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import SEMID, metric, resident_bytes, serving, started_address

CLIENTS = 16


def _arguments(tokenizer_folder: Path, folder: Path, *more: object) -> list[object]:
    database = f"sqlite:///{folder / 'semid.db'}"
    return ["--tokenizer", tokenizer_folder, "--database", database, *more]


def _post(client: httpx.Client, items: list[dict[str, Any]]) -> httpx.Response:
    return client.post("/v1/tokenize", json={"items": items})


def test_metrics_and_health_may_have_a_port_of_their_own(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    arguments = _arguments(tokenizer_folder, tmp_path, "--metrics-port", 0, "--log-format", "json")
    with serving(log, *arguments) as address:
        beside = log.read_text().partition("health and metrics at ")[2].split('"')[0]
        item = {"item_id": "a", "title": "Soap"}
        sent = {"x-request-id": "0123456789abcdef0123456789abcdef"}
        answer = httpx.post(f"{address}/v1/tokenize", json={"items": [item]}, headers=sent)
        assert httpx.get(f"{address}/v1/items/a?key=a-secret").status_code == 200
        for path in ("/metrics", "/health/ready", "/health/live"):
            assert httpx.get(f"{address}{path}").status_code == 404
            assert httpx.get(f"{beside}{path}").status_code == 200
        assert httpx.get(f"{beside}/v1/items/a").status_code == 404
        metrics = httpx.get(f"{beside}/metrics").text
    labels = 'method="GET",route="/v1/items/{item_id:any}"'
    assert metric(metrics, f'semid_requests_total{{{labels},status="200"}}') == "1.0"
    for stage in ("queue", "encode", "quantize", "registry"):
        assert float(metric(metrics, f'semid_stage_seconds_count{{stage="{stage}"}}')) >= 1
    own = f'{{tokenizer="{answer.json()["tokenizer"][:16]}"}}'
    assert float(metric(metrics, f"semid_new_item_distortion_count{own}")) == 1
    assert float(metric(metrics, f"semid_distortion_drift{own}")) > 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    asked = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in asked if "/v1" in line["route"]] == [200, 200]
    assert asked[0]["request_id"] == sent["x-request-id"]
    assert "a-secret" not in log.read_text()


def test_a_stop_under_load_answers_every_request_that_was_accepted(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    """SIGTERM comes while sixteen clients post; all answered IDs are in the registry afterwards."""
    arguments = [*map(str, _arguments(tokenizer_folder, tmp_path))]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*SEMID, "serve", "--port", "0", *arguments], stdout=file, stderr=subprocess.STDOUT
        )
    try:
        address = started_address(log, process)
        answered: dict[str, str] = {}
        broken: list[str] = []
        stopping = threading.Event()

        def post(client_number: int) -> None:
            with httpx.Client(base_url=address, timeout=60) as client:
                for number in range(100_000):
                    item_id = f"{client_number}-{number}"
                    try:
                        answer = _post(client, [{"item_id": item_id, "title": f"Soap {number}"}])
                    except httpx.ConnectError:  # the connection was not accepted
                        return
                    except httpx.TransportError as error:
                        broken.append(f"{item_id}: {error!r}")
                        return
                    assert answer.status_code == 200, answer.text
                    answered[item_id] = answer.json()["items"][0]["semantic_id"]
                    if stopping.is_set() and answer.headers.get("connection") == "close":
                        return

        with ThreadPoolExecutor(CLIENTS) as pool:
            jobs = [pool.submit(post, number) for number in range(CLIENTS)]
            while len(answered) < 100:
                time.sleep(0.05)
            stopping.set()
            process.send_signal(signal.SIGTERM)
            for job in jobs:
                job.result()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert not broken
    assert "Traceback" not in log.read_text()
    with (
        serving(tmp_path / "again", *arguments) as address,
        httpx.Client(base_url=address) as client,
    ):
        for item_id, semantic_id in answered.items():
            assert client.get(f"/v1/items/{item_id}").json()["semantic_id"] == semantic_id


def test_stalled_clients_do_not_delay_the_service(tokenizer_folder: Path, tmp_path: Path) -> None:
    """A stalled body gets 408 after the timeout; an idle bulk request ends with the process."""
    log = tmp_path / "log"
    arguments = _arguments(tokenizer_folder, tmp_path, "--timeout", 1, "--log-format", "json")
    with log.open("w") as file:
        process = subprocess.Popen(
            [*SEMID, "serve", "--port", "0", *map(str, arguments)], stdout=file, stderr=file
        )
    try:
        host, _, port = started_address(log, process).removeprefix("http://").partition(":")
        head = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/"
        begun = f"POST /v1/tokenize {head}json\r\nContent-Length: 9\r\n\r\n{{".encode()
        bulk = f"POST /v1/tokenize:bulk {head}x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        with (
            socket.create_connection((host, int(port)), timeout=30) as stalled,
            socket.create_connection((host, int(port)), timeout=30) as gone,
            socket.create_connection((host, int(port)), timeout=30) as idle,
        ):
            stalled.sendall(begun)
            gone.sendall(begun)
            gone.close()
            line = b'{"item_id": "a", "title": "Soap"}\n'
            idle.sendall(bulk.encode() + f"{len(line):x}\r\n".encode() + line + b"\r\n")
            assert b"408" in stalled.recv(4096).partition(b"\r\n")[0]
            answer = b""
            while b'"line":1' not in answer:
                answer += idle.recv(4096)
            process.send_signal(signal.SIGTERM)
            while more := idle.recv(4096):
                answer += more
            assert b"send the lines after 1 again" in answer
            assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["status"] for line in told if line["event"] == "request") == [200, 408, 408]
    stopping, stopped = (line["event"] for line in told if line["event"].startswith("stop"))
    # The bulk request, and that of the client that is gone if its 408 is still to come.
    assert re.fullmatch("stopping: [12] requests are finished first", stopping)
    assert stopped == "stopped"
    assert not any("exception" in line for line in told)


@pytest.mark.slow
def test_a_bulk_longer_than_all_buffers_is_answered_to_a_client_that_only_sends(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    """The client sends 60,000 lines before it reads any answer; memory stays flat."""
    lines = 60_000

    def body() -> Iterator[bytes]:
        for number in range(lines):
            bad = number % 1000 == 7
            item = {"item_id": f"i{number}"} | ({} if bad else {"title": f"Kettle {number}"})
            yield json.dumps(item).encode() + b"\n"

    with serving(tmp_path / "log", *_arguments(tokenizer_folder, tmp_path)) as address:
        before = resident_bytes(address)
        answer = httpx.post(
            f"{address}/v1/tokenize:bulk", content=body(), timeout=600,
            headers={"content-type": "application/x-ndjson"},
        )  # fmt: skip
        grown = resident_bytes(address) - before
    answers = [json.loads(line) for line in answer.content.splitlines()]
    assert [line["line"] for line in answers] == list(range(1, lines + 1))
    assert [line["line"] for line in answers if "problem" in line] == list(range(8, lines, 1000))
    assert len({line["semantic_id"] for line in answers if "problem" not in line}) == lines * 0.999
    assert grown < 64 * 2**20
