"""The pages of the documentation, and what stands in them: blocks, pieces of code, commands."""

import itertools
import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "PAGES",
    "README",
    "ROOT",
    "SPAN",
    "Block",
    "Sentence",
    "anchors",
    "blocks",
    "semid_commands",
    "shell_commands",
    "spans",
    "text_of",
    "without_blocks",
]

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A block of code."""

    page: str
    language: str
    text: str


class Sentence(NamedTuple):
    """A command as a page gives it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def text_of(page: str) -> str:
    """Return the text of a file of the project."""
    return (ROOT / page).read_text()


def without_blocks(page: Path) -> str:
    """Return a page's text without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def blocks() -> Iterator[Block]:
    """Yield the blocks of code of all pages."""
    for page in PAGES:
        for found in _FENCE.finditer(page.read_text()):
            yield Block(str(page.relative_to(ROOT)), found[2], found[3])


def spans() -> Iterator[tuple[str, str]]:
    """Yield each piece of code within a line, and its page."""
    for page in PAGES:
        for found in SPAN.finditer(without_blocks(page)):
            yield str(page.relative_to(ROOT)), found[1]


def shell_commands() -> Iterator[Sentence]:
    """Yield every line of the pages' shell blocks."""
    for block in blocks():
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                words = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
                if words:
                    yield Sentence(block.page, tuple(words))


def semid_commands() -> list[Sentence]:
    """Return the commands of the pages' shell blocks that are semid's."""
    parts = [
        Sentence(sentence.page, tuple(part))
        for sentence in shell_commands()
        for joined, part in itertools.groupby(sentence.words, lambda word: word == "&&")
        if not joined
    ]
    return [part for part in parts if part.words[0] == "semid"]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    plain = unicodedata.normalize("NFKD", without_blocks(page))
    words = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in _HEADING.findall(plain))
    return {re.sub(r"[-\s]+", "-", each) for each in words}
