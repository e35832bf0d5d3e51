"""Words, central items and coherence of prefixes."""

import numpy as np
import pytest

from tokenizer.prefixes.coherence import central, coherence
from tokenizer.prefixes.naming import PrefixNamer, sizes_by_depth
from tokenizer.prefixes.words import shares, top_words, words_of

KETTLES = ["Red kettle, the best", "Kettle of the house", "The copper kettle"]
LAMPS = ["Lamp for the desk", "The brass lamp", "Desk lamp"]
CODES = np.asarray([[0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 1]], np.uint16)


def test_words_are_those_of_any_script() -> None:
    assert words_of("Čaj zelený, 75 ml – L'Oréal") == {"čaj", "zelený", "ml", "l'oréal"}
    assert words_of("緑茶 Tea") == {"緑茶", "tea"}
    assert words_of("抹茶チョコ") == {"抹茶", "茶チ", "チョ", "ョコ"}
    assert words_of("ＫＥＴＴＬＥ") == {"kettle"}
    assert words_of(None) == words_of("12 %") == frozenset()


def test_top_words_tell_a_group_from_the_others() -> None:
    """Not by words that all groups have, nor by a word of one title."""
    groups = [[words_of(title) for title in titles] for titles in (KETTLES, LAMPS)]
    background = shares([words for group in groups for words in group])
    assert top_words(groups, [3, 3], background) == [("kettle",), ("lamp", "desk")]


def test_a_lone_group_is_told_from_the_catalogue() -> None:
    groups = [[words_of(title) for title in KETTLES]]
    background = shares([words_of(title) for title in KETTLES + LAMPS])
    assert top_words(groups, [3], background)[0][0] == "kettle"


def test_coherence_is_the_mean_cosine_of_pairs() -> None:
    made = np.random.default_rng(0).normal(size=(7, 5))
    units = made / np.linalg.norm(made, axis=1, keepdims=True)
    pairs = [units[a] @ units[b] for a in range(7) for b in range(a)]
    assert coherence(units) == pytest.approx(np.mean(pairs))
    assert coherence(units[:1]) is None
    assert central(np.asarray([[0.0], [4.0], [1.0]])) == 2


def test_prefixes_are_named_from_their_items() -> None:
    directions = np.eye(6)
    directions[:3] = np.eye(6)[0]
    directions[2] = 0.8 * np.eye(6)[0] + 0.6 * np.eye(6)[1]
    directions[5] = np.nan
    namer = PrefixNamer(CODES, KETTLES + LAMPS, CODES.astype(float), directions)
    kettles, lamps = namer.below()
    assert (kettles.codes, kettles.items, kettles.words) == ((0,), 3, ("kettle",))
    assert kettles.coherence == pytest.approx((1 + 0.8 + 0.8) / 3)
    assert kettles.central == 0
    assert (lamps.codes, lamps.items) == ((1,), 3)
    assert lamps.coherence == pytest.approx(0)
    assert namer.chance == coherence(directions[:5])
    below = namer.below((0,))
    assert [(each.codes, each.items, each.coherence is None) for each in below] == [
        ((0, 1), 2, False),
        ((0, 0), 1, True),
    ]
    assert namer.below((0, 1)) == namer.below((7,)) == []


def test_prefixes_without_vectors_have_central_items_by_their_codes() -> None:
    namer = PrefixNamer(CODES, [None] * 6, CODES.astype(float))
    first = namer.below()[0]
    assert (first.words, first.central, first.coherence, namer.chance) == ((), 1, None, None)


def test_sizes_are_counted_at_each_depth() -> None:
    one, two = sizes_by_depth(CODES)
    assert (one.length, one.prefixes, one.median, one.largest, one.single) == (1, 2, 3, 3, 0)
    assert (two.prefixes, two.median, two.largest, two.single) == (4, 1.5, 2, 0.5)
