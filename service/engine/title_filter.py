"""The filter `words` of recommendations and searches: only items whose titles have them."""

from collections.abc import Sequence

from service.engine.catalogue import Catalogue
from service.engine.problem_error import FieldError, ProblemError

__all__ = ["MOST_TITLED", "with_words"]

MOST_TITLED = 100_000  # items that a filter may leave


def with_words(
    catalogue: Catalogue, candidates: Sequence[str] | None, words: str
) -> Sequence[str] | None:
    """Return the candidates whose titles have the words, as `GET /v1/items?search=` finds them.

    Args:
        candidates: item ids; None for all items.
        words: no filter if empty.

    Raises:
        ProblemError: no title has the words, or no candidate's, or too many do.
    """
    if not words.strip():
        return candidates
    found = catalogue.registry.titled(words, MOST_TITLED + 1)
    if len(found) > MOST_TITLED:
        raise _refused(f"more than {MOST_TITLED:,} titles have them; add another word")
    if not found:
        raise _refused("no item's title has them")
    if candidates is None:
        return found
    both = sorted(set(found).intersection(candidates))
    if not both:
        raise _refused("no candidate's title has them")
    return both


def _refused(why: str) -> ProblemError:
    return ProblemError(422, f"words: {why}", [FieldError("words", why)])
