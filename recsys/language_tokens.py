"""Semantic IDs as words for a language model: `<a_12><b_240><c_3><d_77>`, one family a level."""

import json
import string
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from recsys.generation.valid_ids.vocabulary import Vocabulary

__all__ = ["FILES", "LanguageTokens"]

FILES = ("vocabulary.json", "tokens.txt", "items.parquet")


@dataclass(frozen=True)
class LanguageTokens:
    """The words of a catalogue's IDs, numbered from 0, level after level.

    A model with a vocabulary of V words adds these; word n then has the number V + n. If an item
    has a suffix, every item has a word of the last family for it.

    Attributes:
        words: by number.
        items: `item_id`, `tokens` (the item's words, joined) and `token_ids` (their numbers).
    """

    words: tuple[str, ...]
    items: pl.DataFrame

    @classmethod
    def of(cls, ids: pl.DataFrame, codebook_size: int, headroom: int = 16) -> "LanguageTokens":
        """Write IDs as words.

        Args:
            ids: `item_id`, `codes` and `suffix`, as semid tokenize writes them.
            codebook_size: K; every code has a word, whether or not an item has it.
            headroom: further suffixes that have words, for items that come later.

        Raises:
            InputError: there are no items, or more levels than letters.
        """
        if ids.is_empty():
            raise InputError("the table has no IDs; tokenize a catalogue first")
        levels = ids["codes"].list.len().max()
        assert isinstance(levels, int)
        codes = ids["codes"].list.to_array(levels).to_numpy()
        suffixes = ids["suffix"].to_numpy()
        vocabulary = (
            Vocabulary.for_suffixes(
                levels, codebook_size, suffixes, headroom=headroom, user_buckets=0
            )
            if suffixes.any()
            else Vocabulary(levels, codebook_size, user_buckets=0)
        )
        if vocabulary.length > len(string.ascii_lowercase):
            raise InputError(f"IDs of {levels} levels; there are letters for 25")
        words = [
            f"<{letter}_{code}>"
            for position, letter in zip(
                range(vocabulary.length), string.ascii_lowercase, strict=False
            )
            for code in range(vocabulary.width(position))
        ]
        numbers = vocabulary.encode(codes, suffixes) - vocabulary.first(0)
        texts = np.asarray(words, dtype=object)[numbers].sum(1)
        items = pl.DataFrame(
            {"item_id": ids["item_id"], "tokens": texts.tolist(), "token_ids": numbers.tolist()},
            schema_overrides={"token_ids": pl.List(pl.UInt32)},
        )
        return cls(tuple(words), items)

    def write(self, folder: Path) -> None:
        """Write vocabulary.json (word → number), tokens.txt (a word a line) and items.parquet.

        Raises:
            InputError: the folder cannot be written.
        """
        with written_aside(folder, FILES) as aside:
            numbered = {word: number for number, word in enumerate(self.words)}
            (aside / "vocabulary.json").write_text(json.dumps(numbered, indent=0) + "\n")
            (aside / "tokens.txt").write_text("\n".join(self.words) + "\n")
            self.items.write_parquet(aside / "items.parquet")
