"""The encoding of a text file: its byte order mark, UTF-8, UTF-16, or what its bytes look like."""

import codecs
import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

from data_prep.errors import InputError

__all__ = ["check_encoding", "find_encoding"]

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CHUNK = 2**20
SAMPLE = 2**18  # bytes around the first byte that is not UTF-8
NULS = 0.2  # least share of NUL among the bytes of one parity in UTF-16 of Western text
# Files of offices in Western Europe and America. A detector takes short ones for their neighbours.
WESTERN = "cp1252"
LATIN = (
    "cp125",
    "latin",
    "iso8859",
    "mac",
    "cp437",
    "cp85",
    "cp858",
    "hp_roman",
    "cp1140",
    "cp500",
)
OTHER_SCRIPTS = {"cp1251", "cp1253", "cp1255", "cp1256", "iso8859_5", "iso8859_6", "iso8859_7",
                 "iso8859_8", "mac_cyrillic", "mac_greek", "cp855", "cp862", "cp864"}  # fmt: skip
# The likelier one of two encodings that differ in few letters.
LIKELIER = {"mac_cyrillic": "cp1251", "mac_greek": "cp1253"}

logger = logging.getLogger(__name__)


def check_encoding(name: str) -> str:
    """Return the name of a text encoding that Python knows.

    Raises:
        InputError: there is no such encoding.
    """
    try:
        known = codecs.lookup(name)
        b"".decode(known.name)
    except LookupError as error:
        raise InputError(
            f"--encoding {name}: no such encoding; give one such as utf-8, cp1252, latin-1, utf-16"
        ) from error
    return known.name


def find_encoding(path: Path, opened: Callable[[], IO[bytes]]) -> str:
    """Return the encoding of a text file; the log tells if it is a guess.

    A file with a byte order mark has the encoding of its mark. Bytes that are valid UTF-8 are
    UTF-8. Other bytes are UTF-16 without a mark, or what charset-normalizer finds in them; among
    encodings of Latin letters, cp1252 is taken.

    Args:
        opened: opens the file's bytes, decompressed.

    Raises:
        InputError: the bytes are no text in any encoding that was tried.
    """
    with closing(opened()) as file:
        start = file.read(4)
        for mark, encoding in MARKS:
            if start.startswith(mark):
                return encoding
    with closing(opened()) as file:
        sample = _not_utf8(file)
    if sample is None:
        return "utf-8"
    guess = _guess(sample)
    if guess is None:
        raise InputError(
            f"{path}: not UTF-8, and no encoding fits its bytes; save the file as UTF-8, or name "
            f"its encoding with --encoding"
        )
    logger.warning(
        "warning: %s is not UTF-8 and is read as %s; --encoding names another encoding",
        path.name, guess,
    )  # fmt: skip
    return guess


def _not_utf8(file: IO[bytes]) -> bytes | None:
    """Return the bytes around the first invalid ones; None if all are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = b""
    while chunk := file.read(CHUNK):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            at = max(0, error.start - SAMPLE)
            return before[-SAMPLE:] + chunk[at : error.start + SAMPLE]
        if b"\0" in chunk and _utf16(chunk) is not None:
            return chunk
        before = chunk
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return before[-SAMPLE:]
    return None


def _guess(sample: bytes) -> str | None:
    """Return the encoding that bytes seem to have, None if they are no text."""
    if (wide := _utf16(sample)) is not None:
        return wide
    if b"\0" in sample:
        return None
    from charset_normalizer import from_bytes

    best = from_bytes(sample, preemptive_behaviour=False).best()
    found = None if best is None else LIKELIER.get(best.encoding, best.encoding)
    if found is not None and found not in OTHER_SCRIPTS and not found.startswith(LATIN):
        return found
    if found in OTHER_SCRIPTS and best is not None and not _western(sample):
        return found
    for encoding in (WESTERN, "latin-1"):
        try:
            sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


def _western(sample: bytes) -> bool:
    """Return whether most letters are ASCII, with single others among them."""
    letters = [byte for byte in sample if byte >= 0x80 or chr(byte).isalpha()]
    return sum(byte < 0x80 for byte in letters) > 0.8 * len(letters)


def _utf16(sample: bytes) -> str | None:
    """Return the kind of UTF-16 that bytes without a mark have, by where their NULs stand."""
    half = max(1, len(sample) // 2)
    even, odd = sample[0::2].count(0) / half, sample[1::2].count(0) / half
    if odd > NULS and even < odd / 10:
        return "utf-16-le"
    if even > NULS and odd < even / 10:
        return "utf-16-be"
    return None
