"""Cross-entropy over the catalogue without a matrix of all logits, or over the items of a batch."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recsys.models.repeats import Repeats

__all__ = ["full_softmax_loss", "sampled_softmax_loss"]

ROWS_ON_CPU, ROWS_ON_GPU = 256, 8192  # of logits at once: what stays in a CPU's cache


def full_softmax_loss(
    hidden: Tensor, items: Tensor, targets: Tensor, repeats: Repeats | None = None
) -> Tensor:
    """Return the mean over rows of −log softmax(hidden · itemsᵀ + repeats)[target].

    Loss and all gradients come from one pass over blocks of rows, so that memory grows with the
    block and not with the rows. Same value as `torch.nn.functional.cross_entropy`. Under autocast
    the matrix products have its dtype; all else is float32.

    Args:
        hidden: (P, d).
        items: (n_items, d).
        targets: (P,) int64.
        repeats: what is added for items that were there before.
    """
    again = repeats or Repeats.none(hidden)
    loss: Tensor = _FullSoftmax.apply(  # type: ignore[no-untyped-call]
        hidden, items, targets, again.score, again.items, again.counted
    )
    return loss


def sampled_softmax_loss(
    hidden: Tensor, items: Tensor, targets: Tensor, log_share: Tensor
) -> Tensor:
    """Return the mean loss among the distinct targets of the batch, corrected by log-frequency.

    Each logit is lessened by the log of how often its item is met as a target, so that popular
    items are not pushed away for being met more often (Yi et al., RecSys 2019).

    Args:
        hidden: (P, d).
        items: (n_items, d).
        targets: (P,) int64.
        log_share: (n_items,) the log of each item's share of the events that train.
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
        again: Tensor,
        before: Tensor,
        counted: Tensor,
    ) -> Tensor:
        device, count = hidden.device.type, len(hidden)
        precision = hidden.dtype
        if torch.is_autocast_enabled(device):
            hidden, items = hidden.float(), items.float()
            precision = torch.get_autocast_dtype(device)
        rows = min(ROWS_ON_GPU, count) if hidden.is_cuda else ROWS_ON_CPU
        # Rows of zeros add nothing to the items' gradient, and keep every block of one shape.
        hidden, targets, before, counted = (
            _filled(each, rows) for each in (hidden, targets, before, counted)
        )
        factor = items.to(precision)
        losses = hidden.new_empty(len(hidden), 1)
        for_hidden, for_items = torch.empty_like(hidden), torch.zeros_like(items)
        for_again = torch.zeros_like(again)
        arrays = (hidden, targets, before, counted, losses, for_hidden)
        blocks = (torch.split(x, rows) for x in arrays)
        for h, target, had, once, loss, gradient in zip(*blocks, strict=True):
            logits = torch.mm(h.to(precision), factor.T).to(h.dtype)
            logits.scatter_add_(1, had, (once * again).to(logits.dtype))
            at_target = logits.gather(1, target[:, None])
            highest = logits.amax(1, keepdim=True)
            exponents = logits.sub_(highest).exp_()
            total = exponents.sum(1, keepdim=True)
            loss.copy_(total.log() + highest - at_target)
            weights = exponents.to(precision)
            gradient.copy_(torch.mm(weights, factor)).div_(total).sub_(items[target])
            for_items.add_(torch.mm(weights.T, (h / total).to(precision)))
            for_items.index_add_(0, target, h, alpha=-1)
            for_again += (exponents.gather(1, had) / total * once).sum()
            for_again -= (once * (had == target[:, None])).sum()
        ctx.save_for_backward(
            for_hidden[:count].div_(count), for_items.div_(count), for_again.div_(count)
        )
        return losses[:count].mean()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        for_hidden, for_items, for_again = (each * upstream[0] for each in ctx.saved_tensors)
        return for_hidden, for_items, None, for_again, None, None


def _filled(x: Tensor, rows: int) -> Tensor:
    """Append zeros up to a multiple of `rows`."""
    return torch.cat([x, x.new_zeros(-len(x) % rows, *x.shape[1:])])
