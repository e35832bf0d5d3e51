"""A causal Transformer over a user's items: SASRec, with the softmax over the whole catalogue.

The shape is that of Kang & McAuley (ICDM 2018); the loss that of Klenitskiy & Vasilev (RecSys
2023), which needs no sampled negatives. What an item is stands in `recsys.item_vectors`: with a
dense ID alone this is SASRec; with codes it reads semantic IDs, and scores items never seen.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.dataset import PADDING, SequenceDataset
from recsys.item_vectors import START, ItemVectors
from recsys.next_item_model import ScoringModel
from recsys.softmax_loss import full_softmax_loss

__all__ = ["Sasrec", "SasrecConfig"]


@dataclass(frozen=True)
class SasrecConfig:
    """The shape of the model.

    Attributes:
        parts: what an item's vector is the sum of, from `recsys.item_vectors.PARTS`.
        tied: inputs and outputs have the same item vectors; otherwise the outputs have their own,
            of the same parts.
        width: d.
        layers: of the Transformer.
        heads: of each attention; divides the width.
        feedforward: hidden width of each layer's feed-forward network.
        dropout: of inputs, attention weights and sublayers.
        history: the last items that the model reads.
    """

    parts: tuple[str, ...] = ("dense",)
    tied: bool = True
    width: int = 128
    layers: int = 2
    heads: int = 2
    feedforward: int = 256
    dropout: float = 0.5
    history: int = 20


class Sasrec(ScoringModel):
    """Scores all items as the next one after a history.

    Layers compute on the items alone, (P, d) for the P items of a batch that are not padding;
    only attention sees (B, T). Positions count from the oldest item read.

    Raises:
        InputError: as `ItemVectors`.
    """

    def __init__(self, config: SasrecConfig, dataset: SequenceDataset) -> None:
        super().__init__()
        self.config, self.history = config, config.history
        self.items = ItemVectors(dataset, config.parts, config.width)
        self.outputs = None if config.tied else ItemVectors(dataset, config.parts, config.width)
        self.positions = nn.Parameter(torch.randn(config.history, config.width) * START)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.last_norm = nn.LayerNorm(config.width)

    def extra_repr(self) -> str:
        return repr(self.config)

    def loss(self, examples: Tensor) -> Tensor:
        inputs, nexts = examples[:, :-1], examples[:, 1:]
        predicts = nexts != PADDING
        vectors, outputs = self._vectors()
        hidden = self._hidden(inputs, predicts, vectors)
        return full_softmax_loss(hidden, outputs, nexts[predicts])

    def scores(self, histories: Tensor) -> Tensor:
        present = histories != PADDING
        lengths = present.sum(1)
        if not lengths.all() or histories.shape[1] > self.history:
            raise ValueError(f"histories of 1 to {self.history} items are needed")
        vectors, outputs = self._vectors()
        hidden = self._hidden(histories, present, vectors)
        return hidden[lengths.cumsum(0) - 1] @ outputs.T

    def _vectors(self) -> tuple[Tensor, Tensor]:
        vectors = self.items()
        return vectors, vectors if self.outputs is None else self.outputs()

    def _hidden(self, items: Tensor, present: Tensor, vectors: Tensor) -> Tensor:
        at = present.flatten().nonzero().squeeze(1)
        x = functional.embedding(items.flatten()[at], vectors)
        x = self.dropout(self.norm(x + self.positions[at % items.shape[1]]))
        for layer in self.layers:
            x = layer(x, at, *items.shape)
        hidden: Tensor = self.last_norm(x)
        return hidden


class _Layer(nn.Module):
    """Attention and a feed-forward network, each normalised before and added to its input."""

    def __init__(self, config: SasrecConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.rate = config.heads, config.dropout
        self.attention_norm, self.forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.network = nn.Sequential(
            nn.Linear(width, config.feedforward),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feedforward, width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, at: Tensor, rows: int, columns: int) -> Tensor:
        """Return (P, d) for items (P, d) that stand at `at` in a batch of rows × columns.

        Padding stands behind the items, so that the causal mask alone keeps it from them.
        """
        projected = self.into(self.attention_norm(x))
        padded = projected.new_zeros(rows * columns, projected.shape[1])
        padded = padded.index_copy(0, at, projected)
        query, key, value = padded.view(rows, columns, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=rate, is_causal=True
        )
        mixed = mixed.transpose(1, 2).reshape(rows * columns, -1)[at]
        x = x + self.dropout(self.out(mixed))
        sum_: Tensor = x + self.dropout(self.network(self.forward_norm(x)))
        return sum_
