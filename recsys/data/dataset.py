"""The users' sequences and the catalogue as arrays, kept in one file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data_prep.errors import InputError

__all__ = ["NO_ITEM", "HeldOutPart", "SequenceDataset", "Users"]

FORMAT = 1
NO_ITEM = -1
HeldOutPart = Literal["validation", "test"]
Users = NDArray[np.int64]
HELD_BACK: dict[HeldOutPart, int] = {"validation": 2, "test": 1}
NAMES = ("item_ids", "user_ids")
OPTIONAL = ("codes", "suffixes", "vectors", "codebooks", "counts")
EVERYONE = slice(None)
MOST_CODES = 2**16  # that an uint16 can count


@dataclass(frozen=True, eq=False)
class SequenceDataset:
    """Each user's items in time order, split by leave-one-out.

    A user's last item is for the test, the one before it for validation; the others train the
    model. Items and users are numbered from 0 in the order of `item_ids` and `user_ids`.

    Attributes:
        item_ids: the catalogue, n_items ids; an item may be in no sequence.
        user_ids: n_users ids.
        events: (n_events,) int32, the item numbers of all users one after the other.
        offsets: (n_users + 1,) int64; user u has the events `offsets[u]` to `offsets[u + 1]`, at
            least three.
        codes: (n_items, L) uint16, the items' codes, or None.
        suffixes: (n_items,) uint32, which tell items with the same codes apart, or None.
        vectors: (n_items, D) float32, the items' content vectors, or None.
        codebooks: (L, K, d) float32, the codewords of the codes, or None.
        counts: (n_items,) int64, the training events of each item if users were dropped, or None.
        codebook_size: K, codes a level; 0 without codes.
        source: identifies the raw data, such as the digest of its files.
        tokenizer: fingerprint of the tokenizer of the codes; empty without codes.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    events: NDArray[np.int32]
    offsets: NDArray[np.int64]
    codes: NDArray[np.uint16] | None = None
    suffixes: NDArray[np.uint32] | None = None
    vectors: NDArray[np.float32] | None = None
    codebooks: NDArray[np.float32] | None = None
    counts: NDArray[np.int64] | None = None
    codebook_size: int = 0
    source: str = ""
    tokenizer: str = ""

    @property
    def n_items(self) -> int:
        """Items in the catalogue."""
        return len(self.item_ids)

    @property
    def n_users(self) -> int:
        """Users; each has one test item."""
        return len(self.user_ids)

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """(n_items,) int64, the training events of each item."""
        if self.counts is not None:
            return self.counts
        return np.bincount(self.training_events()[1], minlength=self.n_items)

    @property
    def decoded(self) -> NDArray[np.float32] | None:
        """(n_items, d) float32, the sum of each item's codewords; None without codebooks."""
        if self.codes is None or self.codebooks is None:
            return None
        words = [book[codes] for book, codes in zip(self.codebooks, self.codes.T, strict=True)]
        total: NDArray[np.float32] = np.sum(words, axis=0)
        return total

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all arrays and the file's metadata."""
        digest = hashlib.sha256(json.dumps(self._notes(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def training_events(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the user and the item of each training event, (n,) each, in order."""
        user = np.repeat(np.arange(self.n_users), np.diff(self.offsets))
        trains = np.arange(len(self.events)) < self.offsets[1:][user] - 2
        return user[trains], self.events[trains]

    def histories(
        self, split: HeldOutPart, length: int | None = None, users: slice | Users = EVERYONE
    ) -> NDArray[np.int64]:
        """Return the items that each user had before the item of `split`, oldest first.

        Args:
            length: how many of the last items; all where None.
            users: numbers of users; all by default.

        Returns:
            (users, at most length) int64, padded with `NO_ITEM` at the end.
        """
        end = self.offsets[1:][users] - HELD_BACK[split]
        start = self.offsets[:-1][users]
        return self._rows(start if length is None else np.maximum(start, end - length), end)

    def targets(self, split: HeldOutPart) -> NDArray[np.int64]:
        """Return each user's item of `split`, (n_users,) int64."""
        return self.events[self.offsets[1:] - HELD_BACK[split]].astype(np.int64)

    def training_windows(self, length: int) -> NDArray[np.int64]:
        """Cut each user's training events into windows of up to `length` inputs and a last target.

        The item after each input is its target. Windows are cut from the newest event backwards and
        share one event with their neighbours, so that each event except a user's first is a target
        exactly once.

        Returns:
            (windows, length + 1) int64, oldest first, padded with `NO_ITEM` at the end.

        Raises:
            InputError: no user has two training events.
        """
        first, last = self.offsets[:-1], self.offsets[1:] - 2
        user, number = _numbered(-(-(last - first - 1) // length))  # a single event has no target
        end = last[user] - number * length
        rows = self._rows(np.maximum(first[user], end - length - 1), end)
        short = length + 1 - rows.shape[1]
        return np.pad(rows, ((0, 0), (0, short)), constant_values=NO_ITEM)

    def training_prefixes(self, length: int) -> tuple[Users, NDArray[np.int64]]:
        """Return each training event except a user's first as a target, after its inputs.

        The inputs are the up to `length` events before the target.

        Returns:
            (prefixes,) int64, the user of each; (prefixes, at most length + 1) int64, oldest first,
            the target last, padded with `NO_ITEM` at the end.

        Raises:
            InputError: no user has two training events.
        """
        first = self.offsets[:-1]
        user, number = _numbered(np.diff(self.offsets) - 3)
        end = first[user] + number + 2
        return user, self._rows(np.maximum(first[user], end - length - 1), end)

    def without_codes(self) -> Self:
        """Return the dataset without IDs, codebooks and tokenizer."""
        return replace(
            self, codes=None, suffixes=None, codebooks=None, codebook_size=0, tokenizer=""
        )

    def with_dense_codes(self) -> Self:
        """Return the dataset with one code an item, its number: IDs that say nothing of content.

        Raises:
            InputError: there are more items than a code can count.
        """
        if self.n_items > MOST_CODES:
            raise InputError(f"{self.n_items} items; dense codes count up to {MOST_CODES}")
        return replace(
            self.without_codes(),
            codes=np.arange(self.n_items, dtype=np.uint16)[:, None],
            suffixes=np.zeros(self.n_items, dtype=np.uint32),
            codebook_size=self.n_items,
            tokenizer="dense",
        )

    def without_users(self) -> Self:
        """Return the catalogue with each item's popularity, without users."""
        return replace(
            self,
            user_ids=(),
            events=self.events[:0],
            offsets=self.offsets[:1],
            counts=self.popularity,
        )

    def without_training_events(self, share: float, seed: int = 0) -> Self:
        """Hold a random share of the items out of training, as if they came to the catalogue later.

        Their training events are dropped; validation and test items stay. Users who keep fewer than
        three events are dropped.

        Args:
            share: of the items, between 0 and 1.
            seed: of the draw.

        Raises:
            InputError: `share` is out of bounds, or no user is left.
        """
        if not 0 < share < 1:
            raise InputError(f"a share of {share:g} of the items; give one between 0 and 1")
        draw = np.random.default_rng(seed)
        held_out = np.zeros(self.n_items, dtype=bool)
        held_out[draw.permutation(self.n_items)[: round(share * self.n_items)]] = True
        user = np.repeat(np.arange(self.n_users), np.diff(self.offsets))
        tests = np.arange(len(self.events)) >= self.offsets[1:][user] - 2
        kept = tests | ~held_out[self.events]
        stays = np.bincount(user[kept], minlength=self.n_users) >= 3
        if not stays.any():
            raise InputError("no user keeps three events; hold out fewer items")
        kept &= stays[user]
        lengths = np.bincount(user[kept], minlength=self.n_users)[stays]
        return replace(
            self,
            user_ids=tuple(np.asarray(self.user_ids, dtype=object)[stays]),
            events=self.events[kept],
            counts=None,
            offsets=np.concatenate([[0], lengths.cumsum()]).astype(np.int64),
        )

    def save(self, path: Path) -> None:
        """Write the dataset to one `.safetensors` file."""
        notes = {"fingerprint": self.fingerprint, **self._notes()}
        path.write_bytes(save(self._arrays(), {name: str(value) for name, value in notes.items()}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote, and check its fingerprint.

        Raises:
            InputError: the file cannot be read, is not a dataset, or has changed.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                notes = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} cannot be read as .safetensors: {error}") from error
        if notes.get("format") != str(FORMAT):
            raise InputError(
                f"{path} has format {notes.get('format')!r}; this version reads format {FORMAT}; "
                f"prepare the data again"
            )
        try:
            item_ids, user_ids = (_unpacked(arrays[name], arrays[f"{name}.ends"]) for name in NAMES)
            dataset = cls(
                item_ids,
                user_ids,
                arrays["events"],
                arrays["offsets"],
                codebook_size=int(notes["codebook_size"]),
                source=notes["source"],
                tokenizer=notes["tokenizer"],
                **{name: arrays.get(name) for name in OPTIONAL},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}; prepare the data again") from error
        if dataset.fingerprint != notes.get("fingerprint"):
            raise InputError(f"{path} has changed since it was written; prepare the data again")
        return dataset

    def _rows(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `events[start:end]` of each pair as a row, padded with `NO_ITEM` at the end."""
        lengths = end - start
        columns = np.arange(max(0, int(lengths.max(initial=0))))
        at = np.minimum(start[:, None] + columns, len(self.events) - 1)
        found = self.events[at].astype(np.int64)
        return np.where(columns < lengths[:, None], found, NO_ITEM)

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        arrays: dict[str, NDArray[np.generic]] = {"events": self.events, "offsets": self.offsets}
        for name in OPTIONAL:
            if (array := getattr(self, name)) is not None:
                arrays[name] = array
        for name in NAMES:
            arrays[name], arrays[f"{name}.ends"] = _packed(getattr(self, name))
        return arrays

    def _notes(self) -> dict[str, str | int]:
        return {
            "format": FORMAT,
            "codebook_size": self.codebook_size,
            "source": self.source,
            "tokenizer": self.tokenizer,
        }


def _numbered(examples: NDArray[np.int64]) -> tuple[Users, NDArray[np.int64]]:
    """Return the user of each training example, and its number within that user, from 0.

    Args:
        examples: (n_users,), how many each user has.
    """
    if not examples.sum():
        raise InputError(
            "no user has four interactions, which training on a next item needs; give longer "
            "sequences"
        )
    user = np.repeat(np.arange(len(examples)), examples)
    return user, np.arange(len(user)) - np.repeat(np.cumsum(examples) - examples, examples)


def _packed(names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    encoded = [name.encode() for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def _unpacked(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> tuple[str, ...]:
    whole, bounds = text.tobytes(), [0, *ends.tolist()]
    return tuple(whole[a:b].decode() for a, b in pairwise(bounds))
