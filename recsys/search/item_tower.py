"""The item tower of a search model: the vectors of some items, or of all, block by block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.search.code_index import CodeIndex
from recsys.search.data.dataset import SearchDataset

__all__ = ["PARTS", "ItemTower"]

PARTS = ("dense", "codes", "content")
BLOCK = 65_536  # items computed at once


class ItemTower(nn.Module):
    """Embeds items, the same way for histories and as candidates, and projects candidates.

    An item's embedding is the sum of its parts:

    * `dense`: a learnt row for each item.
    * `codes`: the mean over the L levels of the code's row in that level's table (GRIT-VQ, arXiv
      2602.01140, G.4). If the data has codebooks, a row is the sum of a learnt row and a linear map
      of its codeword, so that similar codes start with similar rows.
    * `content`: a linear map of the item's content vector, which is scaled to length 1.

    Args:
        parts: at least one of `PARTS`.
        width: d.

    Raises:
        InputError: an unknown part, no part, or a part that the data set lacks the data for.
    """

    def __init__(self, dataset: SearchDataset, parts: Sequence[str], width: int) -> None:
        super().__init__()
        if not parts or (unknown := set(parts).difference(PARTS)):
            named = ", ".join(sorted(unknown)) if parts else "none"
            raise InputError(f"item vectors of {named}; choose from {', '.join(PARTS)}")
        self.n_items, self.width = dataset.n_items, width
        self.dense = self.levels = self.meaning = self.content_map = None
        if "dense" in parts:
            self.dense = nn.Parameter(torch.randn(dataset.n_items, width) * width**-0.5)
        if "codes" in parts:
            if dataset.codes is None:
                raise InputError("the data has no codes; prepare it with IDs")
            codes, size = torch.from_numpy(dataset.codes.astype("int64")), dataset.codebook_size
            self.codebook_size = size
            self.levels = nn.Parameter(torch.randn(codes.shape[1] * size, width) * width**-0.5)
            rows = codes + size * torch.arange(codes.shape[1])
            self.register_buffer("rows", rows.int(), persistent=False)
            if dataset.codebooks is not None:
                codewords = torch.from_numpy(dataset.codebooks).flatten(0, 1)
                codewords = codewords / codewords.norm(dim=1).mean()
                self.register_buffer("codewords", codewords, persistent=False)
                self.meaning = _map(codewords.shape[1], width)
        if "content" in parts:
            if dataset.vectors is None:
                raise InputError("the data has no content vectors; prepare it with vectors")
            self.register_buffer(
                "content",
                functional.normalize(torch.from_numpy(dataset.vectors), dim=1),
                persistent=False,
            )
            self.content_map = _map(dataset.vectors.shape[1], width)
        self.projection = nn.Linear(width, width)

    def forward(self, items: Tensor) -> Tensor:
        """Return the embeddings (…, d) of items (…) int64, as a history reads them."""
        flat = items.flatten()
        parts: list[Tensor] = []
        if self.dense is not None:
            parts.append(functional.embedding(flat, self.dense))
        if self.levels is not None:
            rows = self.get_buffer("rows")[flat].long()
            parts.append(functional.embedding_bag(rows, self._level_rows(), mode="mean"))
        if self.content_map is not None:
            parts.append(self.content_map(self.get_buffer("content")[flat]))
        embedding = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        return embedding.view(*items.shape, self.width)

    def candidates(self, items: Tensor) -> Tensor:
        """Return the vectors (…, d) of items (…) int64; products with users' are scores."""
        projected: Tensor = self.projection(self(items))
        return projected

    @torch.no_grad()
    def all_candidates(self) -> Tensor:
        """Return (n_items, d)."""
        device = self.projection.weight.device
        blocks = torch.split(torch.arange(self.n_items, device=device), BLOCK)
        return torch.cat([self.candidates(block) for block in blocks])

    @property
    def reads_codes_alone(self) -> bool:
        """Whether an item's codes are all that its vector needs."""
        return self.levels is not None and self.dense is None and self.content_map is None

    @torch.no_grad()
    def code_index(self) -> CodeIndex:
        """Return an index of all candidates; `reads_codes_alone` must hold."""
        rows = self.get_buffer("rows").cpu()
        levels = rows.shape[1]
        tables = (self._level_rows() @ self.projection.weight.T / levels).cpu()
        codes = rows - self.codebook_size * torch.arange(levels)
        return CodeIndex(
            tables.view(levels, self.codebook_size, -1).numpy(),
            self.projection.bias.cpu().numpy(),
            codes.numpy().astype("uint16"),
        )

    @torch.no_grad()
    def extend(self, codes: Tensor) -> None:
        """Add items with codes (n, L) int64; `reads_codes_alone` must hold."""
        assert self.levels is not None
        own = self.get_buffer("rows")
        offsets = self.codebook_size * torch.arange(own.shape[1], device=own.device)
        self.rows = torch.cat([own, (codes.to(own.device) + offsets).int()])
        self.n_items += len(codes)

    def _level_rows(self) -> Tensor:
        assert self.levels is not None
        if self.meaning is None:
            return self.levels
        meaning: Tensor = self.meaning(self.get_buffer("codewords"))
        return self.levels + meaning


def _map(width: int, into: int) -> nn.Linear:
    linear = nn.Linear(width, into, bias=False)
    nn.init.normal_(linear.weight, std=width**-0.5)
    return linear
