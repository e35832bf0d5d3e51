"""What tests of the command share: how it ended, and how it refuses."""

from typing import NamedTuple, Protocol

FAST = ["--encoder", "hashing", "--steps", "20", "--warmup-steps", "5", "--batch-size", "64"]
SMALL = [*FAST, "--codebook-size", "16", "--levels", "2", "--no-baseline"]


class Outcome(NamedTuple):
    code: int
    output: str
    errors: str


class Command(Protocol):
    def __call__(self, *arguments: object) -> Outcome: ...


def refused(outcome: Outcome, *said: str) -> None:
    """One line on standard error, exit code 2, no traceback."""
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.errors
    assert outcome.errors.splitlines()[-1].startswith("semid: "), outcome.errors
    for words in said:
        assert words in outcome.errors
