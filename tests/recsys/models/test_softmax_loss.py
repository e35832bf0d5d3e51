from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recsys.data.histories import distinct_items
from recsys.models.repeats import Repeats
from recsys.models.softmax_loss import full_softmax_loss, sampled_softmax_loss
from tests.tokenizer.quantizers.autograd import gradient


@pytest.mark.parametrize("rows", [1, 511, 1300])
def test_the_blocked_softmax_equals_torchs(rows: int) -> None:
    torch.manual_seed(1)
    hidden, items = torch.randn(rows, 12).double() * 9, torch.randn(70, 12).double()
    targets = torch.randint(70, (rows,))

    def plain(h: Tensor, e: Tensor, t: Tensor) -> Tensor:
        return functional.cross_entropy(h @ e.T, t)

    def results(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> list[Tensor]:
        h, e = hidden.clone().requires_grad_(), items.clone().requires_grad_()
        loss = function(h, e, targets) * 3
        loss.backward()
        return [loss.detach(), gradient(h), gradient(e)]

    torch.testing.assert_close(results(full_softmax_loss), results(plain))


def test_in_bf16_the_repeat_score_is_close() -> None:
    torch.manual_seed(1)
    hidden, items = torch.randn(300, 12), torch.randn(70, 12)
    targets, before = torch.randint(70, (300,)), torch.randint(-1, 70, (300, 5))
    ordered, first = distinct_items(before)
    found = []
    for enabled in (False, True):
        score = torch.tensor(0.8, requires_grad=True)
        repeats = Repeats(ordered.clamp(min=0), first.float() * score)
        halved = hidden.bfloat16() if enabled else hidden
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = full_softmax_loss(halved, items, targets, repeats)
        loss.backward()
        found.append((loss.item(), gradient(score).item()))
    assert found[0] == pytest.approx(found[1], rel=0.02)
    assert found[0] != found[1]


@pytest.mark.parametrize("rows", [1, 300])
def test_the_repeat_score_gets_a_gradient(rows: int) -> None:
    """It is added once for each item of the history, also if the item is the target."""
    torch.manual_seed(1)
    hidden, items = torch.randn(rows, 12).double(), torch.randn(70, 12).double()
    before = torch.randint(-1, 12, (rows, 9))  # some occur twice
    targets = torch.randint(20, (rows,))
    was_there = torch.zeros(rows, 70, dtype=torch.bool)
    for row, items_before in enumerate(before):
        was_there[row, items_before[items_before >= 0]] = True
    found = []
    for blocked in (True, False):
        h, e = hidden.clone().requires_grad_(), items.clone().requires_grad_()
        score = torch.tensor(-1.5).double().requires_grad_()
        if blocked:
            ordered, first = distinct_items(before)
            repeats = Repeats(ordered.clamp(min=0), first.double() * score)
            loss = full_softmax_loss(h, e, targets, repeats)
        else:
            loss = functional.cross_entropy(h @ e.T + was_there * score, targets)
        (loss * 3).backward()
        found.append([loss.detach(), gradient(h), gradient(e), gradient(score)])
    torch.testing.assert_close(*found)
    assert found[0][3] != 0


def test_the_blocked_softmax_is_stable_with_large_logits() -> None:
    loss = full_softmax_loss(
        torch.tensor([[1e4]]), torch.tensor([[1.0], [-1.0]]), torch.tensor([1])
    )
    assert loss.item() == pytest.approx(2e4)


def test_in_bf16_loss_and_gradients_are_close() -> None:
    torch.manual_seed(1)
    hidden, items = torch.randn(300, 12), torch.randn(70, 12)
    targets = torch.randint(70, (300,))
    found = []
    for enabled in (False, True):
        h, e = hidden.clone().requires_grad_(), items.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = full_softmax_loss(h, e, targets)
        loss.backward()
        assert loss.dtype == gradient(h).dtype == torch.float32
        found.append((loss.detach(), gradient(h), gradient(e)))
    for exact, near in zip(*found, strict=True):
        assert not torch.equal(exact, near)
        assert (exact - near).norm() < 0.02 * exact.norm()


def test_the_sampled_softmax_ranks_among_the_targets_of_the_batch() -> None:
    """Each target is a candidate once; frequent targets are corrected by log-frequency."""
    torch.manual_seed(1)
    hidden, items = torch.randn(6, 4), torch.randn(9, 4)
    targets = torch.tensor([7, 2, 2, 5, 7, 0])
    shares = torch.tensor([0.1, 0.2, 0.3, 0.05, 0.05, 0.1, 0.1, 0.05, 0.05])
    found = sampled_softmax_loss(hidden, items, targets, shares.log())
    among = (hidden @ items[[0, 2, 5, 7]].T).exp() / shares[[0, 2, 5, 7]]
    chosen = among[torch.arange(6), torch.tensor([3, 1, 1, 2, 3, 0])] / among.sum(1)
    torch.testing.assert_close(found, -chosen.log().mean())
