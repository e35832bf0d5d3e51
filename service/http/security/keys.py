"""API keys: a file of their digests that can change while the service runs."""

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from data_prep.errors import InputError
from data_prep.storage.files import existing_file, written_aside

__all__ = ["SCOPES", "ApiKey", "KeyRing", "Scope", "add_key", "read_keys", "revoke_key"]

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY_PREFIX = "semid"  # prefix of every key, by which secret scanners find it
logger = logging.getLogger("semid")


class ApiKey(BaseModel):
    """A key's entry in the file; the file holds only a digest, and the key itself is shown once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: datetime


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[ApiKey] = []


class KeyRing:
    """The keys of a file; it is read again whenever it changes.

    If the file can no longer be read, the log says so and the keys read last stay in force.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            InputError: it cannot be read, or is not a file of keys.
        """
        self._path = path
        self._state = _state(path)
        self._keys = _by_id(read_keys(path))

    def holder(self, presented: str) -> ApiKey | None:
        """Return the entry of the key `presented`, or None if the file does not hold it.

        The comparison takes constant time, so it does not reveal which part of a key is right.
        """
        self._follow()
        parts = presented.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        expected = key.sha256 if key is not None else "0" * 64
        same = hmac.compare_digest(_digest(presented), expected)
        return key if same else None

    def _follow(self) -> None:
        state = _state(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = _by_id(read_keys(self._path))
        except InputError as error:
            logger.warning("%s; the keys read before stay in force", error)
        else:
            logger.info("%s: %d API keys", self._path, len(self._keys))


def read_keys(path: Path) -> list[ApiKey]:
    """Return the keys of a file.

    Raises:
        InputError: it cannot be read, or is not a file of keys.
    """
    try:
        keys = _KeyFile.model_validate_json(existing_file(path).read_bytes()).keys
    except (ValidationError, OSError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise InputError(
            f"{path} is not a file of API keys ({reason}); semid keys add --file makes one"
        ) from error
    if len(_by_id(keys)) < len(keys):
        raise InputError(f"{path} has two keys of one id; revoke it and add new ones")
    return keys


def add_key(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Make a key, add its digest to a file, and return the key; a missing file is created.

    Raises:
        InputError: the file cannot be used; it stays unchanged.
    """
    with _changing(path) as keys:
        taken = _by_id(keys)
        while (key_id := secrets.token_hex(4)) in taken:
            pass
        secret = f"{KEY_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            key = ApiKey(
                id=key_id, name=name, scopes=frozenset(scopes), sha256=_digest(secret), created=now
            )
        except ValidationError as error:
            wrong = error.errors()[0]
            raise InputError(f"{wrong['loc'][0]} of the key: {wrong['msg']}") from error
        keys.append(key)
    return secret


def revoke_key(path: Path, key_id: str) -> ApiKey:
    """Take a key out of a file.

    Raises:
        InputError: the file cannot be used, or has no such key.
    """
    with _changing(path) as keys:
        found = _by_id(keys).get(key_id)
        if found is None:
            raise InputError(f"{path} has no key {key_id!r}; semid keys list --file names them")
        keys.remove(found)
    return found


@contextmanager
def _changing(path: Path) -> Iterator[list[ApiKey]]:
    """Yield the keys of a file and write them back; meanwhile other processes cannot change it."""
    place = path.resolve()
    try:
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; make its folder") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = path.stat() if path.exists() else None
        keys = read_keys(path) if before else []
        yield keys
        with written_aside(path) as aside:
            content = _KeyFile(keys=keys).model_dump_json(indent=2)
            with os.fdopen(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(content + "\n")
                if before is not None:  # keep the old file's owner and permissions
                    with suppress(PermissionError):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
    finally:
        os.close(folder)


def _digest(key: str) -> str:
    """Return the SHA-256 of a key; a slow hash is not needed for 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _by_id(keys: Sequence[ApiKey]) -> dict[str, ApiKey]:
    return {key.id: key for key in keys}


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
