"""The beam search is compared with scoring every item."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.errors import InputError
from recsys.generation.beam_search import beam_search
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import Tokens, Vocabulary
from tests.recsys.generation.autoregressive import RandomModel


def _catalogue(vocabulary: Vocabulary, items: int, seed: int) -> Tokens:
    """Draw items of which many share all or most of their codes."""
    rng = np.random.default_rng(seed)
    sizes = [vocabulary.width(n) for n in range(vocabulary.length)]
    chosen = rng.choice(int(np.prod(sizes)), items, replace=False)
    rows = np.stack(np.unravel_index(chosen, sizes), axis=1)
    codes, suffixes = rows[:, : vocabulary.levels], rows[:, vocabulary.levels :]
    return vocabulary.encode(codes, suffixes[:, 0] if vocabulary.suffixes else None)


@pytest.mark.parametrize("vocabulary", [Vocabulary(3, 16, 4), Vocabulary(4, 8, 0)])
def test_a_wide_beam_equals_scoring_every_item(vocabulary: Vocabulary) -> None:
    tokens = _catalogue(vocabulary, 2000, seed=1)
    trie = Trie(vocabulary, tokens[:1900]).with_items(tokens[1900:])
    model, histories = RandomModel(vocabulary, seed=2), torch.randn(5, 16)
    scores = model.score_all(histories, trie)
    found = beam_search(model, histories, trie, top=2000, beams=2000)
    expected = scores.sort(descending=True)
    assert torch.equal(found.items, expected.indices)
    torch.testing.assert_close(found.scores, expected.values)
    assert len(model.beams) == vocabulary.length


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.integers(1, 60), st.integers(1, 70), st.integers(0, 60))
def test_excluded_items_are_not_found_and_all_others_are(
    seed: int, items: int, top: int, left_out: int
) -> None:
    """Catalogues may have one item, and a user may have no item left."""
    vocabulary = Vocabulary(2, 5, 3, user_buckets=1)
    tokens = _catalogue(vocabulary, items, seed)
    trie = Trie(vocabulary, tokens[: (items + 1) // 2]).with_items(tokens[(items + 1) // 2 :])
    model, histories = RandomModel(vocabulary, seed), torch.randn(3, 16)
    excluded = torch.from_numpy(np.random.default_rng(seed).integers(-1, items, (3, left_out)))
    scores = model.score_all(histories, trie)
    for user, row in enumerate(excluded):
        scores[user, row[row >= 0]] = -torch.inf
    found = beam_search(model, histories, trie, top=top, beams=75, excluded=excluded)
    expected = scores.sort(descending=True)
    shown = min(top, items)
    none = torch.full((3, top - shown), -1)
    ranked = expected.indices.masked_fill(expected.values.isneginf(), -1)[:, :top]
    assert torch.equal(found.items, torch.cat([ranked, none], 1))
    torch.testing.assert_close(found.scores[:, :shown], expected.values[:, :top])
    assert found.scores[:, shown:].isneginf().all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(1, 20))
def test_a_narrow_beam_finds_different_items_with_their_own_scores(seed: int, beams: int) -> None:
    vocabulary = Vocabulary(3, 8, 2)
    trie = Trie(vocabulary, _catalogue(vocabulary, 300, seed))
    model, histories = RandomModel(vocabulary, seed), torch.randn(4, 16)
    found = beam_search(model, histories, trie, top=beams, beams=beams)
    assert all(len(set(row)) == beams and min(row) >= 0 for row in found.items.tolist())
    scores = model.score_all(histories, trie)
    torch.testing.assert_close(found.scores, scores.gather(1, found.items))
    assert (found.scores.diff(dim=1) <= 0).all()


def test_the_model_is_not_asked_for_more_beams_than_there_are_prefixes() -> None:
    vocabulary = Vocabulary(3, 8, user_buckets=0)
    trie = Trie(vocabulary, vocabulary.encode(np.asarray([[1, 2, 3], [1, 5, 3], [1, 5, 4]])))
    model = RandomModel(vocabulary, 0)
    found = beam_search(model, torch.randn(2, 16), trie, top=5, beams=50)
    assert model.beams == [1, 1, 2]
    assert [sorted(row) for row in found.items.tolist()] == [[-1, -1, 0, 1, 2]] * 2


def test_decoding_is_imported_without_the_data_libraries() -> None:
    program = (
        "import sys, recsys.generation.beam_search\n"
        "assert not {'polars', 'faiss', 'pydantic', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_users_items_do_not_depend_on_the_batch() -> None:
    vocabulary = Vocabulary(3, 8, 2)
    trie = Trie(vocabulary, _catalogue(vocabulary, 300, 0))
    model, histories = RandomModel(vocabulary, 0), torch.randn(6, 16)
    excluded = torch.randint(0, 300, (6, 40), generator=torch.manual_seed(0))
    whole = beam_search(model, histories, trie, beams=12, excluded=excluded)
    for user in range(6):
        one = slice(user, user + 1)
        alone = beam_search(model, histories[one], trie, beams=12, excluded=excluded[one])
        assert torch.equal(alone.items, whole.items[one])


def test_unusable_arguments_are_refused() -> None:
    vocabulary = Vocabulary(2, 5, 3)
    trie, histories = Trie(vocabulary, _catalogue(vocabulary, 20, 0)), torch.randn(2, 16)
    model = RandomModel(vocabulary, 0)
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (model, {"top": 11, "beams": 10}, "top is 11 with 10 beams"),
        (model, {"top": 0}, "top is 0"),
        (model, {"excluded": torch.zeros(3, 1, dtype=torch.long)}, "of 3 users for a batch of 2"),
        (model, {"excluded": torch.full((2, 1), 20)}, "item number 20 is beyond 0…19"),
        (RandomModel(Vocabulary(2, 5, 4), 0), {}, "scores 2016 tokens; .* has 2015"),
    ]
    for other, options, said in wrong:
        with pytest.raises(InputError, match=said):
            beam_search(other, histories, trie, **options)
    with pytest.raises(FloatingPointError, match="position 0 is not a number"):
        beam_search(model, histories * torch.nan, trie)
