"""A causal Transformer over sequences of vectors: the tower that reads a user's history.

The shape is that of SASRec (Kang & McAuley, ICDM 2018), with the norms before the sublayers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["INITIAL_STD", "CausalTransformer", "TowerConfig"]

INITIAL_STD = 0.02  # of new embeddings


@dataclass(frozen=True)
class TowerConfig:
    """The shape of a tower.

    Attributes:
        width: d.
        layers: of the Transformer.
        heads: of each attention; divides the width.
        feedforward: hidden width of each layer's feed-forward network.
        dropout: of inputs, attention weights and sublayers.
        history: how many of the last items the tower reads.
        repeats: whether a learnt number is added to the scores of the history's items, as in
            `recsys.models.repeats`.
        gated: whether layers are those of LiGR (arXiv 2502.03417): a learnt gate on what each
            sublayer adds, and a feed-forward network with SwiGLU.
    """

    width: int = 128
    layers: int = 2
    heads: int = 2
    feedforward: int = 256
    dropout: float = 0.5
    history: int = 20
    repeats: bool = False
    gated: bool = False


class CausalTransformer(nn.Module):
    """Returns the state after each vector of each sequence.

    Layers compute on the P vectors of a batch that are not padding, (P, d); only attention uses the
    padded (B, T). Positions count from the first vector of a sequence.
    """

    def __init__(self, config: TowerConfig, length: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(length, config.width) * INITIAL_STD)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.last_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (P, d) for vectors (P, d).

        Args:
            x: the vectors of the first sequence, then those of the second, and so on.
            present: (B, T) bool, the positions of the vectors; padding is at the end.
        """
        # P differs from batch to batch, and oneDNN's bf16 would compile a kernel for each P.
        with torch.autocast("cpu", enabled=False):
            at = present.flatten().nonzero().squeeze(1)
            x = self.dropout(self.norm(x + self.positions[at % present.shape[1]]))
            for layer in self.layers:
                x = layer(x, at, *present.shape)
            states: Tensor = self.last_norm(x)
            return states


class _Layer(nn.Module):
    """Attention and a feed-forward network, each normalised before and added to its input."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.rate = config.heads, config.dropout
        self.attention_norm, self.forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.network = _SwiGlu(config) if config.gated else _feed_forward(config)
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(2 * config.gated))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, at: Tensor, rows: int, columns: int) -> Tensor:
        """Return (P, d) for vectors (P, d), which are at `at` in a batch of rows × columns.

        Padding is at the end, so that the causal mask alone hides it.
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
        x = x + self.dropout(self._gated(0, x, self.out(mixed)))
        sum_: Tensor = x + self.dropout(self._gated(1, x, self.network(self.forward_norm(x))))
        return sum_

    def _gated(self, sublayer: int, x: Tensor, added: Tensor) -> Tensor:
        if not len(self.gates):
            return added
        gate: Tensor = self.gates[sublayer](x)
        return added * gate.sigmoid()


class _SwiGlu(nn.Module):
    """A feed-forward network whose hidden units are gated (Shazeer 2020)."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.into = nn.Linear(config.width, 2 * config.feedforward, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.feedforward, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.into(x).chunk(2, -1)
        mixed: Tensor = self.out(self.dropout(functional.silu(gate) * value))
        return mixed


def _feed_forward(config: TowerConfig) -> nn.Module:
    return nn.Sequential(
        nn.Linear(config.width, config.feedforward),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.feedforward, config.width),
    )
