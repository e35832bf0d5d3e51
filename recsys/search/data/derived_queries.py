"""Queries made of category paths, for purchases of which no query is known.

As in Ai et al. (SIGIR 2017) and Van Gysel et al. (CIKM 2016): the words of all levels of the path,
widest first, without stop words and without a word that stood before. Items with a path of one
level have no query.
"""

import re
from collections.abc import Sequence

__all__ = ["derived_query"]

LEAST_LEVELS = 2
WORD = re.compile(r"\w+")


def derived_query(categories: Sequence[str] | None) -> str | None:
    """Return the query that an item's category path makes, or None.

    >>> derived_query(["Beauty", "Hair Care", "Shampoo & Conditioner", "Shampoo for the Hair"])
    'beauty hair care shampoo conditioner'
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    if categories is None or len(categories) < LEAST_LEVELS:
        return None
    words = (word for level in categories for word in WORD.findall(level.lower()))
    kept = dict.fromkeys(word for word in words if word not in ENGLISH_STOP_WORDS)
    return " ".join(kept) or None
