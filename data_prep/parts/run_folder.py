"""A folder of numbered parts: written one by one, resumable, with a manifest written last."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.errors import InputError
from data_prep.storage.durable import make_folder
from data_prep.storage.files import written_aside

__all__ = ["MANIFEST", "Manifest", "PartEntry", "RunFolder", "read_manifest"]

FORMAT = 1
MANIFEST, WORK, RUN, LOCK = "manifest.json", ".run", "run.json", "lock"


@dataclass(frozen=True)
class PartEntry:
    """A part as the manifest names it."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder of parts holds.

    Attributes:
        kind: what the rows are: `semantic ids` or `vectors`.
        of: fingerprint of the tokenizer, or name and revision of the encoder, that made them.
        run: digest of the inputs and options of the run that wrote the last part.
    """

    kind: str
    of: str
    run: str
    parts: tuple[PartEntry, ...]

    @property
    def rows(self) -> int:
        """Number of rows of all parts."""
        return sum(part.rows for part in self.parts)


def read_manifest(folder: Path, kind: str) -> Manifest | None:
    """Return the manifest of a folder, None if it has none; check the parts that it names.

    Raises:
        InputError: the manifest is damaged or names other contents, or a part is missing or has
            changed.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        body = json.loads(path.read_text())
        parts = tuple(PartEntry(**part) for part in body.pop("parts"))
        version = body.pop("format")
        found = Manifest(parts=parts, **body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {error}; make the folder anew") from error
    if version != FORMAT or found.kind != kind:
        raise InputError(f"{path} has {found.kind} in format {version}, not {kind} in {FORMAT}")
    for part in parts:
        place = folder / part.name
        if not place.is_file() or place.stat().st_size != part.bytes:
            state = "is cut short or has grown" if place.exists() else "is missing"
            raise InputError(f"{place} {state}; restore it from a copy, or make the folder anew")
        if _digest(place) != part.sha256:
            raise InputError(f"{place} has changed; restore it from a copy, or make it anew")
    return found


class RunFolder:
    """Writes the parts of one run into a folder; a later run of the same key goes on from them.

    Until the manifest names them, parts stand in FOLDER/.run with what else the run keeps.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        of: str,
        key: Mapping[str, Any],
        before: Sequence[PartEntry] = (),
    ) -> None:
        """Describe a run; `open` begins it.

        Args:
            key: inputs and options that determine the result, as plain values.
            before: parts that stand in the folder already and stay.
        """
        self.folder, self.work = folder, folder / WORK
        self._kind, self._of, self._before = kind, of, tuple(before)
        told = json.dumps({"kind": kind, "of": of, **key}, sort_keys=True)
        self.key = hashlib.sha256(told.encode()).hexdigest()

    def done(self) -> Manifest | None:
        """Return the manifest if this very run has ended before."""
        found = read_manifest(self.folder, self._kind)
        return found if found is not None and found.run == self.key else None

    @contextmanager
    def opened(self, *, overwrite: bool = False) -> Iterator[None]:
        """Begin or go on; one process at a time.

        Args:
            overwrite: give up what another run left, and the folder's old parts.

        Raises:
            InputError: the folder has other files or parts of another run, another process writes
                to it, or it cannot be written.
        """
        try:
            make_folder(self.folder)
            if overwrite and not self._is_ours():
                self._clear()
            self._refuse_foreign()
            self.work.mkdir(exist_ok=True)
            lock = os.open(self.work / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"another process writes to {self.folder}; wait for it") from error
            self._claim()
            yield
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            os.close(lock)

    def has(self, name: str) -> bool:
        """Return whether the run has written a file in its work folder."""
        return (self.work / name).exists()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path; what is written there becomes FOLDER/.run/NAME in one step."""
        aside = self.work / f"{name}.tmp"
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(self.work / name)

    def part_name(self, number: int) -> str:
        """Return the name of the run's part with a number from 0."""
        return f"part-{len(self._before) + number:05}.parquet"

    def write_part(self, number: int, rows: pl.DataFrame) -> None:
        """Write a part, unless it is there."""
        name = self.part_name(number)
        if not self.has(name):
            with self.writing(name) as aside:
                rows.write_parquet(aside)

    def finish(self, count: int) -> Manifest:
        """Move `count` parts into the folder, write the manifest, and remove the work folder.

        The manifest is written last: a folder without it, or with an older one, is not read as
        whole.
        """
        entries = list(self._before)
        for name in map(self.part_name, range(count)):
            place = self.folder / name
            if self.has(name):
                (self.work / name).replace(place)
            rows = pl.scan_parquet(place, glob=False).select(pl.len()).collect().item()
            entries.append(PartEntry(name, rows, place.stat().st_size, _digest(place)))
        made = Manifest(self._kind, self._of, self.key, tuple(entries))
        with written_aside(self.folder / MANIFEST) as aside:
            aside.write_text(json.dumps({"format": FORMAT, **asdict(made)}, indent=1))
        shutil.rmtree(self.work, ignore_errors=True)
        return made

    def _is_ours(self) -> bool:
        """Return whether the work folder is of a run with the same key."""
        with suppress(OSError, ValueError):
            return bool(json.loads((self.work / RUN).read_text()) == {"run": self.key})
        return False

    def _claim(self) -> None:
        if self._is_ours():
            return
        if (self.work / RUN).exists():
            raise InputError(
                f"{self.folder} holds parts of another run that was stopped; finish that run, "
                f"choose another --out, or pass --overwrite to give its parts up"
            )
        with self.writing(RUN) as aside:
            aside.write_text(json.dumps({"run": self.key}))

    def _refuse_foreign(self) -> None:
        known = {MANIFEST, WORK, *(part.name for part in self._before)}
        going_on = (self.work / RUN).exists()
        for place in sorted(self.folder.iterdir()):
            ours = going_on and place.name.startswith("part-")
            if place.name in known or ours or place.name.endswith(".tmp"):
                continue
            raise InputError(
                f"{self.folder} holds {place.name!r}, which is no part of this run; choose another "
                f"--out, or pass --overwrite to replace parts that semid wrote"
            )

    def _clear(self) -> None:
        """Remove what a run wrote: first the manifest, so that no half folder reads as whole."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        for part in self.folder.glob("part-[0-9]*.parquet"):
            part.unlink()
        self._before = ()

    def _unwritable(self, error: OSError) -> InputError:
        reason = error.strerror or str(error)
        return InputError(
            f"cannot write {self.folder}: {reason}; mend that, and the same command goes on from "
            f"the parts that are there"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
