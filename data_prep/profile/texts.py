"""What an encoder reads of a catalogue's texts: unknown tokens, cut texts, identical texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.embedding.encoders import Encoder
from data_prep.embedding.readings import TextReading, readings

__all__ = ["TextProfile", "profile_texts"]

SAMPLE = 2000  # texts that the encoder's tokenizer reads
SHOWN = 3


@dataclass(frozen=True)
class TextProfile:
    """What an encoder reads; shares are of a sample of at most `SAMPLE` texts.

    Attributes:
        shown: texts as the encoder sees them.
        tokens: mean number of tokens of a text.
        unknown: share of tokens that the encoder does not know.
        pieces: share of tokens that go on with a word which the encoder does not know whole.
        cut: share of texts beyond the encoder's limit.
        identical_groups: number of texts that several items have.
        identical_items: number of items that share their text.
    """

    shown: tuple[str, ...]
    tokens: float
    unknown: float
    pieces: float
    cut: float
    identical_groups: int
    identical_items: int


def profile_texts(texts: Sequence[str], encoder: Encoder) -> TextProfile:
    """Describe what an encoder reads of texts."""
    drawn = np.random.default_rng(0).permutation(len(texts))[:SAMPLE]
    read: list[TextReading] = readings(encoder, [texts[row] for row in drawn])
    total = max(1, sum(each.tokens for each in read))
    shared = [count for count in Counter(texts).values() if count > 1]
    return TextProfile(
        tuple(each.seen for each in readings(encoder, texts[:SHOWN])),
        total / max(1, len(read)),
        sum(each.unknown for each in read) / total,
        sum(each.pieces for each in read) / total,
        sum(each.cut for each in read) / max(1, len(read)),
        len(shared),
        sum(shared),
    )
