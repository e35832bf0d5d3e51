import pytest
import torch

from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.training import separation
from tokenizer.training.separation import nearest_others, separation_loss


def test_neighbours_are_the_nearest_unequal_rows() -> None:
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    x[7] = x[3]
    distances = torch.cdist(x.double(), x.double())
    distances[distances < 1e-6] = torch.inf
    assert torch.equal(nearest_others(x), distances.argmin(1))
    assert nearest_others(torch.ones(4, 2)).tolist() == [0, 1, 2, 3]


def test_large_sets_find_most_neighbours_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    base = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    twins = base + 0.02
    x = torch.cat([base, twins])
    monkeypatch.setattr(separation, "GROUP", 100)
    found = nearest_others(x)
    twin = torch.cat([torch.arange(500, 1000), torch.arange(500)])
    assert (found == twin).float().mean() > 0.95


def test_the_loss_is_zero_beyond_the_margin_and_pushes_apart_within() -> None:
    z = torch.tensor([[0.0, 0.0]], requires_grad=True)
    quantized = torch.tensor([[1.0, 0.0]])  # the cell's size is 1
    assert separation_loss(z, torch.tensor([[2.0, 0.0]]), quantized, margin=2.0) == 0
    loss = separation_loss(z, torch.tensor([[0.5, 0.0]]), quantized, margin=2.0)
    assert loss.item() == pytest.approx(1 - 0.25 / 2)
    loss.backward()
    assert gradient(z)[0, 0] > 0  # descent moves z away from 0.5
