"""Cross-entropy over the catalogue, without a matrix of all logits, or over a batch's targets."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recsys.models.repeats import Repeats

__all__ = ["full_softmax_loss", "sampled_softmax_loss"]

ROWS_ON_CPU, ROWS_ON_GPU = 256, 8192  # of logits at once; on a CPU they stay in the cache


def full_softmax_loss(
    hidden: Tensor, items: Tensor, targets: Tensor, repeats: Repeats | None = None
) -> Tensor:
    """Return the mean over rows of −log softmax(hidden · itemsᵀ + repeats)[target].

    The value is that of `torch.nn.functional.cross_entropy`. One pass over blocks of rows computes
    the loss and all gradients, so that memory grows with the block, not with all rows. Under
    autocast the matrix products have its dtype; all else is float32.

    Args:
        hidden: (P, d).
        items: (n_items, d).
        targets: (P,) int64.
        repeats: what is added to scores, such as those of the items in each row's history.
    """
    repeats = repeats or Repeats.none(hidden)
    loss: Tensor = _FullSoftmax.apply(  # type: ignore[no-untyped-call]
        hidden, items, targets, repeats.items, repeats.values
    )
    return loss


def sampled_softmax_loss(
    hidden: Tensor, items: Tensor, targets: Tensor, log_share: Tensor
) -> Tensor:
    """Return the mean cross-entropy over the batch's distinct targets, corrected by log-frequency.

    The log of an item's frequency as a target is subtracted from its logit, so that popular items
    are not penalised for being negatives more often (Yi et al., RecSys 2019).

    Args:
        hidden: (P, d).
        items: (n_items, d).
        targets: (P,) int64.
        log_share: (n_items,), the log of each item's share of the training events.
    """
    candidates, places = torch.unique(targets, return_inverse=True)
    logits = hidden @ functional.embedding(candidates, items).T - log_share[candidates]
    return functional.cross_entropy(logits.float(), places)


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        items: Tensor,
        targets: Tensor,
        histories: Tensor,
        values: Tensor,
    ) -> Tensor:
        device, count = hidden.device.type, len(hidden)
        precision = hidden.dtype
        if torch.is_autocast_enabled(device):
            hidden, items = hidden.float(), items.float()
            precision = torch.get_autocast_dtype(device)
        rows = min(ROWS_ON_GPU, count) if hidden.is_cuda else ROWS_ON_CPU
        # Rows of zeros add nothing to the items' gradient and give all blocks one shape.
        hidden, targets, histories, values = (
            _padded(each, rows) for each in (hidden, targets, histories, values)
        )
        factor = items.to(precision)
        losses = hidden.new_empty(len(hidden), 1)
        for_hidden, for_items = torch.empty_like(hidden), torch.zeros_like(items)
        for_values = torch.empty_like(values)
        arrays = (hidden, targets, histories, values, losses, for_hidden, for_values)
        blocks = (torch.split(x, rows) for x in arrays)
        for h, target, had, added, loss, gradient, for_added in zip(*blocks, strict=True):
            logits = torch.mm(h.to(precision), factor.T).to(h.dtype)
            logits.scatter_add_(1, had, added.to(logits.dtype))
            at_target = logits.gather(1, target[:, None])
            highest = logits.amax(1, keepdim=True)
            exponents = logits.sub_(highest).exp_()
            total = exponents.sum(1, keepdim=True)
            loss.copy_(total.log() + highest - at_target)
            weights = exponents.to(precision)
            gradient.copy_(torch.mm(weights, factor)).div_(total).sub_(items[target])
            for_items.add_(torch.mm(weights.T, (h / total).to(precision)))
            for_items.index_add_(0, target, h, alpha=-1)
            for_added.copy_(exponents.gather(1, had) / total)
            for_added.sub_((had == target[:, None]).to(for_added.dtype))
        ctx.save_for_backward(
            for_hidden[:count].div_(count), for_items.div_(count), for_values[:count].div_(count)
        )
        return losses[:count].mean()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        for_hidden, for_items, for_values = (each * upstream[0] for each in ctx.saved_tensors)
        return for_hidden, for_items, None, None, for_values


def _padded(x: Tensor, rows: int) -> Tensor:
    """Append zeros up to a multiple of `rows`."""
    return torch.cat([x, x.new_zeros(-len(x) % rows, *x.shape[1:])])
