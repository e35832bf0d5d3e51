"""A service without keys answers to this machine's names, and to those that it is given."""

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from service.cli.serving.options import ServeSettings
from service.http.security.guard import Access
from service.http.security.host_names import host_fault
from tests.service.http.listening import listening_at
from tests.service.http.problem import problem_of

Make = Callable[[Access], FastAPI]
HERE = ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost.", "a.localhost", "127.1.2.3"]
OTHERS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[::2]",
    "x",
    "10.0.0.1",
]


def _settings(**given: object) -> ServeSettings:
    return ServeSettings(tokenizer=(Path("t"),), **given)  # type: ignore[arg-type]


def test_another_name_cannot_read_or_remove(application: Make) -> None:
    """As a page of evil.example would ask, whose name means 127.0.0.1 by now."""
    access = Access(hosts=_settings(allowed_hosts=("shop.example",)).hosts())
    with listening_at(application(access)) as address, httpx.Client(base_url=address) as client:
        port = address.rpartition(":")[2]
        item = {"items": [{"item_id": "kept", "title": "Copper kettle"}]}
        assert client.post("/v1/tokenize", json=item).status_code == 200
        for name in OTHERS:
            for host in (name, f"{name}:{port}"):
                told = {"Host": host}
                answer = client.delete("/v1/items/kept", headers=told)
                assert "--allowed-host" in problem_of(answer, 421)["detail"]
                assert client.get("/v1/items/kept", headers=told).status_code == 421
                assert client.get("/health/live", headers=told).status_code == 421
        for name in (*HERE, "shop.example"):
            for host in (name, f"{name}:{port}"):
                answer = client.get("/v1/items/kept", headers={"Host": host})
                assert answer.status_code == 200, host


def test_one_of_two_hosts_is_not_enough(application: Make) -> None:
    with listening_at(application(Access(hosts=()))) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as opened:
            opened.sendall(
                b"GET /v1/items HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
            )
            assert b" 421 " in opened.recv(2**16).partition(b"\r\n")[0]


def test_keys_or_their_lack_decide_which_names_are_answered(tmp_path: Path) -> None:
    assert _settings().hosts() == ()
    assert _settings(keys=tmp_path / "keys.json").hosts() is None
    named = {"allowed_hosts": ("shop.example",)}
    assert _settings(**named).hosts() == ("shop.example",)
    assert _settings(keys=tmp_path / "keys.json", **named).hosts() == ("shop.example",)


@pytest.mark.parametrize(
    "name", ["Shop.example", "shop.example:80", "http://shop.example", "", "*"]
)
def test_an_allowed_host_is_a_name(name: str) -> None:
    assert host_fault("shop.example") is None
    assert "is not a host name" in str(host_fault(name))
    with pytest.raises(ValidationError, match="is not a host name"):
        _settings(allowed_hosts=(name,))
