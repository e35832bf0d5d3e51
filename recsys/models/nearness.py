"""How near items are to the last items of a history, as inner products with learnt weights.

The nearness of item c is Σ_t w_t ⟨x_c, x_t⟩ over the last items of the history, t = 1 the newest.
The vectors x are decoded from the items' semantic IDs, or are content vectors; they are centred and
have length 1. The sum is ⟨x_c, Σ_t w_t x_t⟩, so that a matrix product or an index of inner products
gives the nearness of all items. One number w_t a place is learnt. An item's nearness to itself does
not count: people seldom take an item twice, and the weights would learn that in place of nearness.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.models.repeats import Repeats

__all__ = ["SOURCES", "Nearness"]

SOURCES = ("codes", "content")


class Nearness(nn.Module):
    """Holds the items' vectors and the learnt weights of places, zero at first.

    Weights are in units of √width: the scale of products of vectors of that width.

    Args:
        source: `codes`, the sum of an item's codewords; or `content`, the dataset's vectors.
        places: how many of the last items count.
        width: of the vectors whose products nearness is added to.
        heads: sets of weights.

    Raises:
        InputError: an unknown source, or the dataset lacks the codewords or vectors.
    """

    def __init__(
        self, dataset: SequenceDataset, source: str, places: int, width: int, heads: int = 1
    ) -> None:
        super().__init__()
        if source not in SOURCES:
            raise InputError(f"nearness from {source!r}; choose from {', '.join(SOURCES)}")
        self.source = source
        self.weights = nn.Parameter(torch.zeros(heads, places))
        self.unit = width**0.5
        vectors = torch.from_numpy(_content(dataset) if source == "content" else _decoded(dataset))
        if source == "codes":
            words = torch.from_numpy(dataset.codebooks)
            self.register_buffer("codewords", words, persistent=False)
        self.register_buffer("centre", vectors.mean(0), persistent=False)
        self.register_buffer("vectors", self._unit_vectors(vectors), persistent=False)
        self.register_buffer("squares", self._squares(), persistent=False)

    @property
    def width(self) -> int:
        """The width of the items' vectors."""
        return int(self.get_buffer("vectors").shape[1])

    def forward(self, windows: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sums up to each of the P present entries: (heads, P, D).

        Args:
            windows: (B, T) int64, oldest first.
            present: (B, T) bool, P of them True; padding is at the end.
        """
        vectors = functional.embedding(windows.clamp(min=0), self.get_buffer("vectors"))
        at = torch.arange(windows.shape[1], device=windows.device)
        back = at[:, None] - at
        counts = (back >= 0) & (back < self.weights.shape[1])
        used = functional.embedding(back.clamp(0, self.weights.shape[1] - 1), self.weights.T)
        mixing = (used * counts[..., None]).permute(2, 0, 1) * self.unit  # (heads, T, T)
        with torch.autocast(windows.device.type, enabled=False):
            sums = torch.einsum("hts,bsd->hbtd", mixing, vectors * present[..., None])
        return sums[:, present]

    def of_histories(self, histories: Tensor) -> Tensor:
        """Return the weighted sums of whole histories: (heads, B, D); an empty one has zeros.

        Args:
            histories: (B, T) int64, oldest first, padded with -1 at the end.
        """
        vectors = functional.embedding(histories.clamp(min=0), self.get_buffer("vectors"))
        return torch.einsum("hbt,btd->hbd", self._weights_of(histories), vectors)

    def to_itself(self, histories: Tensor, factors: Tensor) -> Repeats:
        """Return what takes each history item's nearness to itself away from its score.

        Args:
            histories: (B, T) int64, padded with -1 at the end.
            factors: (B, T), what the items' nearness is multiplied by.
        """
        used = self._weights_of(histories)[0]
        items = histories.clamp(min=0)
        return Repeats(items, -used * factors * self.get_buffer("squares")[items])

    @torch.no_grad()
    def extend(self, codes: Tensor) -> None:
        """Add items by their codes (n, L) int64."""
        own = self.get_buffer("vectors")
        words = self.get_buffer("codewords")
        rows = codes.to(own.device) + words.shape[1] * torch.arange(len(words), device=own.device)
        more = functional.embedding_bag(rows, words.flatten(0, 1), mode="sum")
        self.vectors = torch.cat([own, self._unit_vectors(more)])
        self.squares = self._squares()

    def _weights_of(self, histories: Tensor) -> Tensor:
        """Return the weight of each entry of histories (B, T): (heads, B, T), 0 at padding."""
        present = histories != NO_ITEM
        at = torch.arange(histories.shape[1], device=histories.device)
        back = present.sum(1, keepdim=True) - 1 - at
        counts = present & (back < self.weights.shape[1])
        used = functional.embedding(back.clamp(0, self.weights.shape[1] - 1), self.weights.T)
        weights: Tensor = (used * counts[..., None]).permute(2, 0, 1) * self.unit
        return weights

    def _squares(self) -> Tensor:
        """Return the squared lengths (n_items,) of the vectors: 1, or 0 for a zero vector."""
        return self.get_buffer("vectors").square().sum(1)

    def _unit_vectors(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors - self.get_buffer("centre"), dim=1)


def _content(dataset: SequenceDataset) -> NDArray[np.float32]:
    if dataset.vectors is None:
        raise InputError("the data has no content vectors; prepare it with --vectors")
    lengths = np.linalg.norm(dataset.vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = dataset.vectors / np.maximum(lengths, 1e-12)
    return unit


def _decoded(dataset: SequenceDataset) -> NDArray[np.float32]:
    if dataset.decoded is None:
        raise InputError(
            "nearness needs the codewords of the items' codes; prepare the data with --ids and "
            "--tokenizer"
        )
    return dataset.decoded
