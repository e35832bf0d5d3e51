"""An encoder sees whether its vectors depend on what shares a pass, and then computes otherwise."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from data_prep.embedding.block_linear import MAX_ROWS, BlockLinear, use_blocks
from data_prep.embedding.encoder_passes import EncoderPasses

Change = Callable[[Tensor], Tensor]


class Model(nn.Module):
    """Sums token ids over a linear layer; `change` is what a bad library does to a batch."""

    def __init__(self, change: Change = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(100, 16)
        self.linear = nn.Linear(16, 24)
        self.change = change
        self.texts: list[int] = []

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        self.texts.append(len(tokens["input_ids"]))
        x = self.linear(self.words(tokens["input_ids"]))
        return {"sentence_embedding": self.change(x.sum(1))}


def _tokens(texts: int = 9) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {"input_ids": torch.randint(100, (texts, 8), generator=draw)}


def _row(tokens: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    return {name: value[row : row + 1] for name, value in tokens.items()}


def _by_number(x: Tensor) -> Tensor:
    return x + len(x) * 1e-6


def _by_place(x: Tensor) -> Tensor:
    return x + torch.arange(len(x)).unsqueeze(1) * 1e-6


def _from_four_texts(x: Tensor) -> Tensor:
    return x + (len(x) > 3) * 1e-6


@pytest.mark.parametrize("change", [_by_number, _by_place, _from_four_texts])
def test_texts_whose_bits_depend_on_company_go_one_by_one(change: Change) -> None:
    model = Model(change)
    passes = EncoderPasses(model, torch.device("cpu"))
    tokens = _tokens()
    passes.vectors({"input_ids": tokens["input_ids"][:2]}, 8)
    together = passes.vectors(tokens, 8)
    alone = torch.cat([passes.vectors(_row(tokens, row), 8) for row in range(9)])
    assert torch.equal(together, alone)
    model.texts.clear()
    passes.vectors(tokens, 8)
    assert model.texts == [1] * 9


def test_texts_that_are_the_same_in_company_stay_together() -> None:
    model = Model()
    passes = EncoderPasses(model, torch.device("cpu"))
    passes.vectors(_tokens(), 8)
    model.texts.clear()
    together = passes.vectors(_tokens(), 8)
    assert model.texts == [9]
    assert torch.allclose(together, Model()(_tokens())["sentence_embedding"], atol=1e-6)


def test_one_length_says_nothing_of_another() -> None:
    model = Model(lambda x: _by_number(x) if len(model.texts) > 9 else x)
    passes = EncoderPasses(model, torch.device("cpu"))
    passes.vectors(_tokens(), 8)
    model.texts.extend([0] * 9)
    passes.vectors(_tokens(), 16)
    model.texts.clear()
    passes.vectors(_tokens(), 16)
    assert model.texts == [1] * 9


def test_passes_of_one_shape_are_filled_up() -> None:
    """As on a GPU: 9 texts, 4 a pass, the last with copies."""
    model = Model(_by_number)
    passes = EncoderPasses(model, torch.device("cpu"))
    passes._texts = 4
    together = passes.vectors(_tokens(), 8)
    alone = torch.cat([passes.vectors(_row(_tokens(), row), 8) for row in range(9)])
    assert torch.equal(together, alone)
    assert set(model.texts) == {4}
    model.texts.clear()
    passes.vectors(_tokens(), 8)
    assert model.texts == [4, 4, 4]


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_in_blocks_is_the_layer(bias: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 24, bias=bias))
    x = torch.randn(3, 101, 40)
    expected = model(x)
    with torch.inference_mode():
        use_blocks(model)
        assert isinstance(model[0], BlockLinear)
        found = model(x)
        assert torch.allclose(found, expected, atol=1e-5)
        assert torch.equal(found[1, 3:4], model(x[1, 3:4]))
        assert torch.equal(found[2:], model(x[2:]))


def test_products_that_change_with_their_rows_are_computed_in_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where every other number of rows gives other bits, only the largest block is left."""
    seen: list[int] = []

    def product(_: BlockLinear, rows: Tensor) -> Tensor:
        seen.append(len(rows))
        return nn.functional.linear(rows, weight) + len(rows) * 1e-3

    weight = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(BlockLinear, "product", product)
    model = nn.Sequential(nn.Linear(40, 24))
    x = torch.randn(300, 40)
    with torch.inference_mode():
        use_blocks(model)
        together = model(x)
        assert torch.equal(model(x[299:]), together[299:])
        assert torch.equal(model(x[:17]), together[:17])
        seen.clear()
        model(x)
    assert seen == [MAX_ROWS, MAX_ROWS]
