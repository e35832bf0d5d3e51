"""A dual encoder for search: a tower that reads a history and a query, and an item tower.

The query tower is a causal Transformer over the history's items, oldest first, and then the query;
its last state is the user's vector. Both towers share the tables of codes (GRIT-VQ, G.4).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.models.causal_transformer import CausalTransformer, TowerConfig
from recsys.search.data.dataset import NO_QUERY, SearchDataset
from recsys.search.item_tower import ItemTower

__all__ = ["LOSSES", "SearchConfig", "SearchModel"]

LOSSES = ("in_batch", "full")
NO_ITEM = -1


@dataclass(frozen=True)
class SearchConfig:
    """The shape of a search model, and its loss.

    Attributes:
        parts: of an item's embedding, from `recsys.search.item_tower.PARTS`.
        history: whether the query tower reads histories.
        loss: `in_batch`, softmax over the batch's items, corrected by their log-frequency; or
            `full`, softmax over all items that answer a training request.
        tower: the query tower.
    """

    parts: tuple[str, ...] = ("codes",)
    history: bool = True
    loss: str = "in_batch"
    tower: TowerConfig = field(
        default_factory=lambda: TowerConfig(heads=4, dropout=0.1, history=20)
    )


class SearchModel(nn.Module):
    """Scores items for a request by the product of the user's vector with the items' vectors.

    Args:
        dataset: gives the catalogue, the queries' vectors and the items' frequencies.

    Raises:
        InputError: an unknown loss; no vectors of queries; as `ItemTower`.
    """

    def __init__(self, config: SearchConfig, dataset: SearchDataset) -> None:
        super().__init__()
        if config.loss not in LOSSES:
            raise InputError(f"loss {config.loss!r}; choose from {', '.join(LOSSES)}")
        if dataset.query_vectors is None:
            raise InputError("the data has no vectors of queries; prepare it with an encoder")
        width = config.tower.width
        self.config, self.history = config, config.tower.history if config.history else 0
        self.items = ItemTower(dataset, config.parts, width)
        self.query = nn.Linear(dataset.query_vectors.shape[1], width)
        self.tower = CausalTransformer(config.tower, self.history + 1)
        popularity = torch.from_numpy(dataset.popularity)
        shares = (popularity / popularity.sum().clamp(min=1)).clamp(min=torch.finfo().tiny)
        self.register_buffer("log_share", shares.log().float(), persistent=False)
        self.register_buffer("seen", popularity.nonzero().squeeze(1), persistent=False)

    def extra_repr(self) -> str:
        return repr(self.config)

    def users(self, queries: Tensor, asked: Tensor, histories: Tensor) -> Tensor:
        """Return the users' vectors (B, d).

        Args:
            queries: (B, D) float32; a row counts where `asked`.
            asked: (B,) bool.
            histories: (B, T) int64, oldest first, padded with -1 at the end; T is at most
                `history`.

        Raises:
            ValueError: a request has neither a query nor an item, or a history is too long.
        """
        present = histories != NO_ITEM
        if histories.shape[1] > self.history or not (asked | present.any(1)).all():
            raise ValueError(f"a query, or a history of up to {self.history} items, is needed")
        lengths = present.sum(1)
        both = torch.cat([present, present.new_zeros(len(present), 1)], 1)
        rows = torch.arange(len(both), device=both.device)
        both[rows, lengths] = asked
        is_query = torch.zeros_like(both)
        is_query[rows, lengths] = asked
        mark = is_query[both]
        x = queries.new_zeros(len(mark), self.query.out_features)
        own = self.query(functional.normalize(queries[asked], dim=1))
        x = x.index_copy(0, mark.nonzero().squeeze(1), own)
        if self.history:
            x = x.index_copy(0, (~mark).nonzero().squeeze(1), self.items(histories[present]))
        states = self.tower(x, both)
        last: Tensor = states[both.sum(1).cumsum(0) - 1]
        return last

    def loss(
        self, queries: Tensor, asked: Tensor, histories: Tensor, targets: Tensor, requests: Tensor
    ) -> Tensor:
        """Return the mean loss of items that answer requests.

        Args:
            queries, asked, histories: as `users`.
            targets: (B,) int64.
            requests: (B,) int64; other items that answer a row's request are no negatives of it.
        """
        users = self.users(queries, asked, histories)
        if self.config.loss == "full":
            seen = self.get_buffer("seen")
            logits = users @ self.items.candidates(seen).T
            return functional.cross_entropy(logits.float(), torch.searchsorted(seen, targets))
        candidates, places = torch.unique(targets, return_inverse=True)
        logits = users @ self.items.candidates(candidates).T
        logits = logits.float() - self.get_buffer("log_share")[candidates]
        first, second = (requests[:, None] == requests).nonzero(as_tuple=True)
        also = torch.zeros_like(logits, dtype=torch.bool)
        also[first, places[second]] = True
        also[torch.arange(len(places), device=places.device), places] = False
        return functional.cross_entropy(logits.masked_fill(also, -torch.inf), places)


def query_rows(dataset: SearchDataset, requests: Tensor) -> tuple[Tensor, Tensor]:
    """Return the queries' vectors (B, D) of requests, and which requests have a query."""
    assert dataset.query_vectors is not None
    numbers = torch.from_numpy(dataset.request_query)[requests].long()
    asked = numbers != NO_QUERY
    return torch.from_numpy(dataset.query_vectors)[numbers.clamp(min=0)], asked
