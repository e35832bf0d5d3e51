"""TIGER over a catalogue: histories → tokens → constrained beam search → items."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset, Users
from recsys.evaluation.metrics import CUTOFFS
from recsys.generation.beam_search import FoundItems, beam_search
from recsys.generation.encoder_decoder import Tiger, TigerConfig
from recsys.generation.generative_model import GenerativeModel
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import PADDING, Vocabulary
from recsys.models.base import Codes, Suffixes, check_histories

__all__ = ["TigerRecommender", "TigerRecommenderConfig"]

GROUP_SHARE = 0.75  # a group holds examples of at least this share of its longest's length


@dataclass(frozen=True)
class TigerRecommenderConfig(TigerConfig):
    """The network's shape, the input and the beam search.

    Attributes:
        history: how many of the last items the model reads.
        user_buckets: how many tokens user IDs are hashed to; a user's token comes before the
            history. 0 for histories alone.
        headroom: further suffix tokens, for items that come later. With 0, a catalogue in which no
            two items share their codes has no suffix tokens.
        beams: of the search, which lists as many items; metrics have cutoffs up to it.
        validation_beams: of the search that measures the model in training.
    """

    history: int = 20
    user_buckets: int = 0
    headroom: int = 16
    beams: int = 100
    validation_beams: int = 20


class TigerRecommender(GenerativeModel):
    """Generates the next item's ID, token by token, from the IDs of a history.

    Every training event except a user's first is the target of one example: the encoder reads the
    items before it, the decoder generates it.

    Raises:
        InputError: the data has no codes; two items share an ID; there are fewer beams than the
            smallest cutoff.
    """

    tokens: Tensor
    users: Tensor

    config: TigerRecommenderConfig

    def __init__(self, config: TigerRecommenderConfig, dataset: SequenceDataset) -> None:
        super().__init__()
        if dataset.codes is None:
            raise InputError("the data has no codes; prepare it with --ids")
        for name in ("beams", "validation_beams"):
            if getattr(config, name) < min(CUTOFFS):
                raise InputError(
                    f"{name} is {getattr(config, name)}; at least {min(CUTOFFS)} are needed"
                )
        self.config, self.history = config, config.history
        suffixes = dataset.suffixes
        if suffixes is None:
            suffixes = np.zeros(dataset.n_items, dtype=np.uint32)
        levels, size = dataset.codes.shape[1], dataset.codebook_size
        self.vocabulary = (
            Vocabulary.for_suffixes(
                levels, size, suffixes, headroom=config.headroom, user_buckets=config.user_buckets
            )
            if suffixes.any() or config.headroom
            else Vocabulary(levels, size, user_buckets=config.user_buckets)
        )
        tokens = self.vocabulary.encode(dataset.codes, suffixes)
        self.trie = Trie(self.vocabulary, tokens)
        nothing = np.full((1, self.vocabulary.length), PADDING)
        table = torch.from_numpy(np.concatenate([tokens, nothing]))  # the last row is for padding
        self.register_buffer("tokens", table, persistent=False)
        if config.user_buckets:
            users = torch.from_numpy(self.vocabulary.user_tokens(dataset.user_ids))
            self.register_buffer("users", users, persistent=False)
        self.network = Tiger(config, self.vocabulary.size)

    def extra_repr(self) -> str:
        return repr(self.config)

    def examples(self, dataset: SequenceDataset) -> Tensor:
        """Return (prefixes, columns) int64: the user (if user tokens are used), inputs, target."""
        users, rows = dataset.training_prefixes(self.history)
        if self.config.user_buckets:
            rows = np.concatenate([users[:, None], rows], axis=1)
        return torch.from_numpy(rows)

    def predictions(self, examples: Tensor) -> Tensor:
        return torch.full((len(examples),), self.vocabulary.length)

    def loss(self, examples: Tensor) -> Tensor:
        """Return the mean cross-entropy of the targets' tokens."""
        lengths = (examples != NO_ITEM).sum(1)
        losses = []
        for chosen, width in _groups(lengths, examples.shape[1]):
            part, last = examples[chosen], lengths[chosen][:, None] - 1
            targets = part.gather(1, last)
            inputs, user_tokens = part.scatter(1, last, NO_ITEM)[:, : width - 1], None
            if self.config.user_buckets:
                inputs, user_tokens = inputs[:, 1:], self.users[part[:, 0]]
            history = self._read(inputs, user_tokens)
            mean = self.network.loss(history, self.tokens[targets[:, 0]])
            losses.append(mean * len(chosen))
        return torch.stack(losses).sum() / len(examples)

    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        """Return which items have an ID with tokens, and no known item has it: (n,) bool."""
        size, limit = self.vocabulary.codebook_size, max(1, self.vocabulary.suffixes)
        accepted: NDArray[np.bool_] = (codes < size).all(1) & (suffixes < limit)
        tokens = torch.from_numpy(self.vocabulary.encode(codes[accepted], suffixes[accepted]))
        accepted[accepted] = (self.trie.find(tokens.to(self.trie.device)) < 0).cpu().numpy()
        return accepted

    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        tokens = self.vocabulary.encode(codes, suffixes)
        self.trie = self.trie.with_items(tokens)
        more = torch.from_numpy(tokens).to(self.tokens.device)
        self.tokens = torch.cat([self.tokens[:-1], more, self.tokens[-1:]])

    @torch.no_grad()
    def recommend(
        self,
        histories: Tensor,
        top: int = 10,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
        beams: int | None = None,
        user_tokens: Tensor | None = None,
    ) -> FoundItems:
        """Return each user's most probable items, as `GenerativeModel.recommend`.

        Args:
            user_tokens: (B,), from `Vocabulary.user_tokens`, if the model has them; None for
                unknown users.
        """
        check_histories(histories, self.history)
        if self.trie.device != self.device:
            self.trie = self.trie.to(self.device)
        trie = self.trie
        if candidates is not None:
            trie = Trie(self.vocabulary, self.tokens[candidates].cpu().numpy()).to(self.device)
            excluded = None if excluded is None else _among(excluded, candidates)
        found = beam_search(
            self.network,
            self._read(histories, user_tokens),
            trie,
            top=top,
            beams=max(top, beams or self.config.beams),
            excluded=excluded,
        )
        if candidates is None:
            return found
        items = torch.where(found.items < 0, NO_ITEM, candidates[found.items.clamp(min=0)])
        return found._replace(items=items)

    def lists(
        self, dataset: SequenceDataset, beams: int
    ) -> Callable[[Users, Tensor, Tensor | None], Tensor]:
        everyone = None
        if self.config.user_buckets:
            everyone = torch.from_numpy(self.vocabulary.user_tokens(dataset.user_ids))

        def listed(chosen: Users, histories: Tensor, excluded: Tensor | None) -> Tensor:
            tokens = None if everyone is None else everyone[chosen].to(self.device)
            return self.recommend(histories, beams, excluded, None, beams, tokens).items

        return listed

    def _read(self, histories: Tensor, user_tokens: Tensor | None) -> Tensor:
        """Return the encoder's input: (B, T · length) tokens, after the user's token if given."""
        tokens = self.tokens[histories].flatten(1)
        if user_tokens is None:
            return tokens
        return torch.cat([user_tokens[:, None], tokens], dim=1)


def _among(items: Tensor, candidates: Tensor) -> Tensor:
    """Return the places of items among candidates (n,), -1 for others; both are item numbers."""
    ordered, places = candidates.sort()
    near = torch.searchsorted(ordered, items).clamp(max=len(ordered) - 1)
    return torch.where(ordered[near] == items, places[near], NO_ITEM)


def _groups(lengths: Tensor, width: int) -> Iterator[tuple[Tensor, int]]:
    """Yield groups of rows of similar length, with the greatest length, so that padding is short.

    On a GPU there is one group: further groups would wait for the lengths and run smaller batches.
    """
    order = lengths.argsort(descending=True, stable=True)
    if lengths.is_cuda:
        yield order, width
        return
    falling = lengths[order]
    start = 0
    while start < len(falling):
        width = int(falling[start])
        rows = int((falling >= GROUP_SHARE * width).sum()) - start
        yield order[start : start + rows], width
        start += rows
