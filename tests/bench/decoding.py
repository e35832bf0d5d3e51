"""TIGER's constrained beam search and Hugging Face's `generate` with the same weights."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.generation.beam_search import beam_search
from recsys.generation.encoder_decoder import TigerConfig
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import Vocabulary
from tests.bench.measure import best_seconds
from tests.recsys.generation.t5 import t5_of, tiger_of

__all__ = ["decoding"]

ITEMS = 12_101
USERS = 32
HISTORY = 20
BEAMS = 20
TOP = 10


def decoding() -> dict[str, Any]:
    """Return milliseconds a user at batch 32, beam 20 and 12,101 items, and how often they agree.

    Random weights are sharpened, so that rounding does not decide the order of items.
    """
    vocabulary = Vocabulary(levels=4, codebook_size=256, suffixes=0, user_buckets=0)
    config = TigerConfig()
    oracle: Any = t5_of(config, vocabulary.size)
    with torch.no_grad():
        oracle.shared.weight.mul_(4)
    model = tiger_of(oracle, config).eval()
    codes = np.unique(np.random.default_rng(0).integers(0, 256, (2 * ITEMS, 4)), axis=0)
    codes = np.random.default_rng(1).permutation(codes)[:ITEMS]
    tokens = vocabulary.encode(codes)
    trie = Trie(vocabulary, tokens)
    drawn = torch.randint(0, ITEMS, (USERS, HISTORY), generator=torch.Generator().manual_seed(0))
    history = torch.from_numpy(tokens)[drawn].flatten(1)
    following = _following(tokens)

    def ours() -> Tensor:
        return beam_search(model, history, trie, top=TOP, beams=BEAMS).items

    def theirs() -> Tensor:
        written: Tensor = oracle.generate(
            history,
            num_beams=BEAMS,
            num_return_sequences=TOP,
            min_new_tokens=4,
            max_new_tokens=4,
            length_penalty=0.0,
            early_stopping=True,
            prefix_allowed_tokens_fn=lambda _, path: following[tuple(path.tolist()[1:])],
        )
        return written[:, 1:5].view(USERS, TOP, 4)

    found = torch.from_numpy(tokens)[ours()]
    same = (found == theirs()).flatten(1).all(1).float().mean()
    mine, peer = best_seconds(ours), best_seconds(theirs, repeats=1)
    return {
        "milliseconds_a_user": mine / USERS * 1e3,
        "hugging_face_milliseconds_a_user": peer / USERS * 1e3,
        "ratio": peer / mine,
        "users_with_the_same_top_10": float(same),
    }


def _following(tokens: np.ndarray[Any, np.dtype[np.int64]]) -> dict[tuple[int, ...], list[int]]:
    """Return the tokens that may follow each prefix."""
    found: dict[tuple[int, ...], set[int]] = {}
    for row in tokens.tolist():
        for length in range(len(row)):
            found.setdefault(tuple(row[:length]), set()).add(row[length])
    return {prefix: sorted(allowed) for prefix, allowed in found.items()}
