"""What an encoder reads of a text: its tokens, the unknown ones among them, and where it is cut."""

from collections.abc import Sequence
from typing import NamedTuple

from data_prep.embedding.encoders import Encoder, SentenceEncoder

__all__ = ["TextReading", "readings"]


class TextReading(NamedTuple):
    """A text as an encoder reads it.

    Attributes:
        seen: the text made of the tokens that the encoder reads.
        tokens: number of tokens of the whole text.
        pieces: number of tokens that go on with a word which the vocabulary does not have whole;
            0 for tokenizers that do not mark them.
        unknown: number of tokens that are in no vocabulary; all of them are one token, `[UNK]`.
        cut: whether the text is longer than the encoder's limit.
    """

    seen: str
    tokens: int
    pieces: int
    unknown: int
    cut: bool


def readings(encoder: Encoder, texts: Sequence[str]) -> list[TextReading]:
    """Return what an encoder reads of each text; one without a vocabulary reads the text itself."""
    if not isinstance(encoder, SentenceEncoder):
        return [TextReading(text, len(text.split()), 0, 0, cut=False) for text in texts]
    return [TextReading(*each) for each in encoder.readings(texts)]
