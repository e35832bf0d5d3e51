"""Constrained beam search for the items that a model finds most probable.

At every step a beam is a prefix of at least one ID that the user may be shown. Each result is
therefore an item, and no item occurs twice, since an ID has one path.

An item's score is the sum of its tokens' log-probabilities, normalised over the whole vocabulary
before invalid tokens are masked. The score does not depend on the other items of the catalogue, so
that searches of two catalogues can be compared.
"""

from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from data_prep.errors import InputError
from recsys.generation.valid_ids.trie import Trie

__all__ = ["FoundItems", "StepModel", "beam_search"]

Batch_contra = TypeVar("Batch_contra", contravariant=True)
State = TypeVar("State")


class StepModel(Protocol[Batch_contra, State]):
    """A model that writes IDs token by token."""

    def start(self, batch: Batch_contra) -> State:
        """Encode each user's history, once a search."""

    def step(self, state: State, tokens: Tensor | None, parents: Tensor | None) -> Tensor:
        """Append the last tokens to their beams and score the next ones; change `state` in place.

        Args:
            tokens: (users, beams) int64, the last token of each beam; None at the first step. A
                user with fewer prefixes than beams has arbitrary tokens in the rest; the search
                ignores their scores.
            parents: (users, beams) int64, the beam of the previous step that each beam continues,
                for reordering caches; None at the first step.

        Returns:
            (users, beams, vocabulary) logits or log-probabilities; (users, 1, vocabulary) at the
            first step.
        """


class FoundItems(NamedTuple):
    """Each user's items, best first.

    Attributes:
        items: (users, top) int64 item numbers; -1 after the last item.
        scores: (users, top) float32, float64 if the model is float64: log-probabilities, plus what
            a reranking adds, and new items' own scores; -inf where the item is -1.
    """

    items: Tensor
    scores: Tensor


@torch.no_grad()
def beam_search(
    model: StepModel[Batch_contra, State],
    batch: Batch_contra,
    trie: Trie,
    *,
    top: int = 10,
    beams: int = 50,
    excluded: Tensor | None = None,
) -> FoundItems:
    """Find the items of highest probability.

    The result is exact if no step has more prefixes than `beams`. Items of probability 0 are not
    found.

    Args:
        trie: the catalogue, on the model's device.
        top: items for each user.
        beams: prefixes kept for each user, or all if there are fewer.
        excluded: (users, n) int64, item numbers to leave out for each user, padded with -1.

    Raises:
        InputError: `top` or `beams` is out of bounds; the model's vocabulary differs from the
            trie's; `excluded` has another number of users or an unknown item.
        FloatingPointError: the model's output is not a number.
    """
    if not 1 <= top <= beams:
        raise InputError(f"top is {top} with {beams} beams; 1 ≤ top ≤ beams is needed")
    vocabulary = trie.vocabulary
    exclusions = None if excluded is None else trie.exclude(excluded)
    state = model.start(batch)
    tokens: Tensor | None = None
    parents: Tensor | None = None
    for position in range(vocabulary.length):
        logits = _checked(model.step(state, tokens, parents), trie, excluded)
        if not position:
            nodes, scores = trie.root(len(logits)), logits.new_zeros(len(logits), 1)
        first, width = vocabulary.first(position), vocabulary.width(position)
        gains = logits[..., first : first + width] - logits.logsumexp(-1, keepdim=True)
        closed = ~trie.allowed(position, nodes, exclusions)
        paths = (scores[..., None] + gains).masked_fill_(closed, -torch.inf).flatten(1)
        scores, best = paths.topk(min(beams, paths.shape[1], trie.breadth(position)))
        if scores.isnan().any():
            raise FloatingPointError(f"the model's output at position {position} is not a number")
        parents, tokens = best // width, best % width + first
        nodes = trie.advance(position, nodes.take_along_dim(parents[..., None], 1), tokens)
        nodes = nodes.masked_fill(scores.isneginf()[..., None], -1)
    missing = max(0, top - scores.shape[1])
    return FoundItems(
        torch.nn.functional.pad(trie.items(nodes)[:, :top], (0, missing), value=-1),
        torch.nn.functional.pad(scores[:, :top], (0, missing), value=-torch.inf),
    )


def _checked(logits: Tensor, trie: Trie, excluded: Tensor | None) -> Tensor:
    if logits.shape[-1] != trie.vocabulary.size:
        raise InputError(
            f"the model scores {logits.shape[-1]} tokens; the catalogue's vocabulary has "
            f"{trie.vocabulary.size}"
        )
    if excluded is not None and len(excluded) != len(logits):
        raise InputError(f"excluded items of {len(excluded)} users for a batch of {len(logits)}")
    return logits if logits.dtype == torch.float64 else logits.float()
