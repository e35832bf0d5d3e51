"""Scores of a node's children: what a state says of each sibling, for many nodes at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["sibling_log_probabilities", "sibling_logits"]


def sibling_logits(
    terms: Sequence[tuple[Tensor, Tensor]], groups: Tensor, first: Tensor, count: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the products of each state with the vectors of its group's members.

    States of one group share one matrix product, so that each member's vector is read once.

    Args:
        terms: pairs of states (Q, d) and vectors of all groups' members (members, d); the result is
            the sum over the pairs.
        groups: (Q,) int64, the group of each state.
        first, count: (Q,) int64, the first member of each state's group, and how many it has.

    Returns:
        (Q, widest) products, and (Q, widest) bool, which columns are members.
    """
    device = groups.device
    widest = int(count.max())
    columns = torch.arange(widest, device=device)
    present = columns < count[:, None]
    order = groups.argsort(stable=True)
    _, at, sizes = torch.unique_consecutive(groups[order], return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        begin = int(first[0])
        products = [states @ table[begin : begin + widest].T for states, table in terms]
        return torch.stack(products).sum(0) if len(products) > 1 else products[0], present
    start = sizes.cumsum(0) - sizes
    deepest = int(sizes.max())
    place = at * deepest + torch.arange(len(order), device=device) - start[at]
    members = first[order[start]][:, None] + columns
    of_state = torch.empty_like(place).index_copy(0, order, place)
    total: Tensor | None = None
    for states, table in terms:
        padded = states.new_zeros(len(sizes) * deepest, states.shape[1])
        padded = padded.index_copy(0, place, functional.embedding(order, states))
        vectors = functional.embedding(members.clamp(max=len(table) - 1), table)
        product = torch.bmm(padded.view(len(sizes), deepest, -1), vectors.transpose(1, 2))
        total = product if total is None else total + product
    assert total is not None
    return functional.embedding(of_state, total.flatten(0, 1)), present


def sibling_log_probabilities(logits: Tensor, counted: Tensor) -> Tensor:
    """Return the log-probabilities (Q, widest) of siblings: softmax over the counted columns.

    Args:
        logits: (Q, widest).
        counted: (Q, widest) bool; -inf at the other columns.
    """
    return logits.float().masked_fill(~counted, -torch.inf).log_softmax(1)
