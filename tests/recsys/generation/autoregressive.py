"""A small random model that generates IDs, and the log-probabilities of all items one by one."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import Vocabulary


@dataclass
class Hidden:
    """(users, beams, width)."""

    now: Tensor


class RandomModel:
    """A recurrent cell with random weights; float64, so that rounding changes no order."""

    def __init__(self, vocabulary: Vocabulary, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary.size, 16).double()
            self.cell = nn.GRUCell(16, 16).double()
            self.head = nn.Linear(16, vocabulary.size).double()
            nn.init.normal_(self.head.weight, std=0.75)
        self.beams: list[int] = []

    def start(self, batch: Tensor) -> Hidden:
        return Hidden(batch.double()[:, None])

    def step(self, state: Hidden, tokens: Tensor | None, parents: Tensor | None) -> Tensor:
        self.beams.append(1 if tokens is None else tokens.shape[1])
        if tokens is not None and parents is not None:
            users, beams = tokens.shape
            before = state.now.take_along_dim(parents[..., None], 1)
            after = self.cell(self.embedding(tokens).flatten(0, 1), before.flatten(0, 1))
            state.now = after.view(users, beams, -1)
        logits: Tensor = self.head(state.now)
        return logits

    @torch.no_grad()
    def score_all(self, batch: Tensor, trie: Trie) -> Tensor:
        """Return the log-probability of each item for each user, (users, items)."""
        tokens = trie.tokens(torch.arange(len(trie)))
        scores = []
        for user in batch.double():
            hidden, score = user.expand(len(trie), -1), torch.zeros(len(trie), dtype=torch.double)
            for column in tokens.T:
                score = score + self.head(hidden).log_softmax(-1)[torch.arange(len(trie)), column]
                hidden = self.cell(self.embedding(column), hidden)
            scores.append(score)
        return torch.stack(scores)
