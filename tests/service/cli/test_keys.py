"""The file of API keys: what it holds, who it lets in, and that it is followed."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_prep.errors import InputError
from service.http.security.keys import KeyRing, add_key, read_keys, revoke_key
from tests.service.cli.command import Command, refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_kept_as_its_digest_alone(path: Path) -> None:
    key = add_key(path, "import", ["read", "write"])
    assert key.startswith("semid_")
    assert len(key) > 50
    assert key.rpartition("_")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    holder = KeyRing(path).holder(key)
    assert holder is not None
    assert holder.name == "import"
    assert sorted(holder.scopes) == ["read", "write"]


def test_nothing_near_a_key_is_a_key(path: Path) -> None:
    key = add_key(path, "one", ["read"])
    other = add_key(path, "two", ["read"])
    ring = KeyRing(path)
    mark, key_id, secret = key.split("_", 2)
    stored = {entry.id: entry.sha256 for entry in read_keys(path)}
    for wrong in (
        "", key_id, secret, key[:-1], key + "x", key.upper(), f" {key}", f"{mark}_{key_id}_",
        f"{mark}_{other.split('_')[1]}_{secret}", f"x_{key_id}_{secret}", stored[key_id],
        f"{mark}_{key_id}_{stored[key_id]}", f"{key_id}_{secret}", "\ud800",
    ):  # fmt: skip
        assert ring.holder(wrong) is None, wrong
    assert ring.holder(key) is not None


def test_a_change_of_the_file_counts_at_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = add_key(path, "first", ["read"])
    ring = KeyRing(path)
    second = add_key(path, "second", ["read"])
    assert ring.holder(second) is not None
    revoke_key(path, first.split("_")[1])
    assert ring.holder(first) is None
    path.write_text("{")
    assert ring.holder(second) is not None
    path.unlink()
    assert ring.holder(second) is not None
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert all("stay in force" in line for line in told)
    third = add_key(path, "third", ["admin"])
    assert (ring.holder(second), ring.holder(third) is not None) == (None, True)
    assert not any(key[15:] in caplog.text for key in (first, second, third))


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"keys": [{"id": "x"}]}', '{"keys": [], "more": 1}', '{"keys": null}', "\ud800"],
)
def test_a_file_of_something_else_is_refused_and_left_alone(path: Path, content: str) -> None:
    before = content.encode("utf-8", "surrogatepass")
    path.write_bytes(before)
    for use in (lambda: KeyRing(path), lambda: add_key(path, "x", ["read"])):
        with pytest.raises(InputError, match="is not a file of API keys"):
            use()
    assert path.read_bytes() == before


def test_two_keys_of_one_id_are_refused(path: Path) -> None:
    add_key(path, "one", ["read"])
    keys = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": keys * 2}))
    with pytest.raises(InputError, match="two keys of one id"):
        KeyRing(path)


def test_keys_added_at_once_are_all_there(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: add_key(path, f"n{n}", ["read"]), range(40)))
    ring = KeyRing(path)
    assert {holder.name for holder in map(ring.holder, made) if holder} == {
        f"n{n}" for n in range(40)
    }


def test_the_command_makes_lists_and_revokes(semid: Command, tmp_path: Path) -> None:
    made = semid("keys", "add", "nightly", "--scope", "write", "--scope", "read")
    key = made.output.strip()
    assert made.code == 0
    assert "not shown again" in made.errors
    assert key not in made.errors
    assert semid("keys", "add", "page").code == 0
    listed = semid("keys", "list").output.splitlines()
    assert [line.split()[1::2] for line in listed] == [["read,write", "nightly"], ["read", "page"]]
    assert key not in "".join(listed)
    assert "nightly revoked" in semid("keys", "revoke", listed[0].split()[0]).output
    assert len(semid("keys", "list").output.splitlines()) == 1
    refused(semid("keys", "revoke", "00000000"), "no key '00000000'", "keys list")
    refused(semid("keys", "add", "x", "--scope", "all"), "--scope all", "read, write, admin")
    refused(semid("keys", "add", ""), "name of the key")
    refused(semid("keys", "list", "--file", "no.json"), "no.json does not exist")
    refused(semid("keys", "add", "x", "--file", "no/keys.json"), "no/keys.json", "folder")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "keys.json"]


def test_who_could_read_the_file_still_can(path: Path) -> None:
    key = add_key(path, "one", ["read"])
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    add_key(path, "two", ["read"])
    revoke_key(path, key.split("_")[1])
    assert path.stat().st_mode & 0o777 == 0o644
