"""Beam search over a catalogue's tree, for models that tell siblings apart.

A beam is a node. A step scores the children of all beams; a beam whose node has one child costs
nothing, since the child's probability is 1. Scores are probabilities among all items of the
catalogue, also where only some of them may be found.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.errors import InputError
from recsys.generation.beam_search import FoundItems
from recsys.generation.valid_ids.item_tree import ItemTree

__all__ = ["SiblingModel", "tree_search"]

# (depth, users (Q,), their codes so far (Q, depth), nodes (Q,), first children (Q,), how many (Q,))
# → log-probabilities of the children (Q, the most children).
SiblingModel = Callable[[int, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@torch.no_grad()
def tree_search(
    model: SiblingModel,
    tree: ItemTree,
    users: int,
    *,
    top: int = 10,
    beams: int = 50,
    excluded: Tensor | None = None,
    candidates: Tensor | None = None,
) -> FoundItems:
    """Find the items of highest probability; exact if no depth has more nodes than `beams`.

    Args:
        top: items for each user.
        beams: nodes kept for each user.
        excluded: (users, n) int64, item numbers to leave out for each user, padded with -1.
        candidates: (n,) int64, the items that may be found; all where None.

    Raises:
        InputError: `top` or `beams` is out of bounds.
        FloatingPointError: the model's output is not a number.
    """
    if not 1 <= top <= beams:
        raise InputError(f"top is {top} with {beams} beams; 1 ≤ top ≤ beams is needed")
    device = tree.device
    open_nodes = None if candidates is None else tree.open_nodes(candidates)
    closed = None if excluded is None else tree.exclude(excluded, open_nodes)
    user = torch.arange(users, device=device)[:, None]
    nodes = torch.zeros(users, 1, dtype=torch.long, device=device)
    scores = torch.zeros(users, 1, device=device)
    codes = torch.zeros(users, 1, 0, dtype=torch.long, device=device)
    for depth in range(tree.length):
        first, count = tree.children(depth, nodes)
        widest = int(count.max())
        children = first[..., None] + torch.arange(widest, device=device)
        gone = children >= (first + count)[..., None]
        paths = scores[..., None].repeat(1, 1, widest)
        splits = (count > 1).nonzero()
        if len(splits):
            row, beam = splits.unbind(1)
            given = (nodes[row, beam], first[row, beam], count[row, beam])
            gains = model(depth, row, codes[row, beam], *given)
            if gains.isnan().any():
                raise FloatingPointError(f"the model's output at depth {depth} is not a number")
            paths[row, beam] += functional.pad(gains, (0, widest - gains.shape[1]))
        known = children.masked_fill(gone, 0)
        if open_nodes is not None:
            gone |= ~open_nodes[depth][known]
        if closed is not None and len(closed[depth]):
            gone |= _among(user[..., None] * tree.width(depth + 1) + known, closed[depth])
        paths = paths.masked_fill_(gone, -torch.inf).flatten(1)
        scores, best = paths.topk(min(beams, paths.shape[1]))
        nodes = children.flatten(1).gather(1, best).masked_fill(scores.isneginf(), -1)
        parents = (best // widest)[..., None].expand(-1, -1, depth)
        last = tree.codes(depth + 1)[nodes.clamp(min=0)]
        codes = torch.cat([codes.gather(1, parents), last[..., None]], 2)
    missing = max(0, top - scores.shape[1])
    return FoundItems(
        functional.pad(tree.items(nodes)[:, :top], (0, missing), value=-1),
        functional.pad(scores[:, :top], (0, missing), value=-torch.inf),
    )


def _among(keys: Tensor, closed: Tensor) -> Tensor:
    """Return which keys are among the sorted keys `closed`."""
    near = torch.searchsorted(closed, keys).clamp_(max=len(closed) - 1)
    return closed[near] == keys
