"""A generator of semantic IDs with two Transformers (RQ-Transformer, Lee et al., CVPR 2022).

The item Transformer reads a history with one position an item: it is causal, over item vectors. The
code Transformer writes the next item's ID: it is small and causal, over the codes of one item, and
its position l sees the history's state and the sum of the embeddings of the codes before l. At each
position it tells apart the siblings of the catalogue's tree, so that the probabilities of all items
sum to 1, and a position with a single sibling costs nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.generation.beam_search import FoundItems
from recsys.generation.code_tables import CodeTables, NodeTables
from recsys.generation.generative_model import GenerativeModel
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.reranking import Reranker
from recsys.generation.siblings import sibling_log_probabilities, sibling_logits
from recsys.generation.tree_search import tree_search
from recsys.generation.valid_ids.item_tree import ItemTree, id_rows
from recsys.models.base import Codes, Suffixes, check_histories, last_of_each
from recsys.models.calibration import users_to_fit
from recsys.models.causal_transformer import CausalTransformer
from recsys.models.item_vectors import ItemVectors
from recsys.models.nearness import Nearness

__all__ = ["Generator"]


class Generator(GenerativeModel):
    """Writes the next item's ID, code by code; trains on all positions of a window at once.

    Items without a training event are siblings of nobody in training, so that they do not push
    their codes away.

    Raises:
        InputError: the data has no codes; two items share an ID; as `GeneratorConfig.check`,
            `ItemVectors` and `Nearness`.
    """

    users_on_gpu = 1024
    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig, dataset: SequenceDataset) -> None:
        super().__init__()
        if dataset.codes is None:
            raise InputError("the data has no codes; prepare it with --ids")
        config.check()
        self.config, self.history = config, config.tower.history
        width, levels = config.tower.width, dataset.codes.shape[1]
        rows = id_rows(dataset.codes, dataset.suffixes, config.headroom)
        self.codebook_size = dataset.codebook_size
        self.suffixes = 0
        if rows.shape[1] > levels:
            self.suffixes = int(rows[:, -1].max()) + 1 + config.headroom
        self.tree = ItemTree(rows)
        self.register_buffer("seen", torch.from_numpy(dataset.popularity > 0), persistent=False)
        parts = ("codes", "prefixes") if levels > 1 and config.rows_to > 1 else ("codes",)
        self.items = ItemVectors(dataset, parts, width)
        self.tower = CausalTransformer(config.tower, self.history)
        self.into = nn.Linear(width, width)
        self.written = CodeTables(dataset, self.suffixes, width)
        over_codes = replace(config.tower, layers=config.code_layers, dropout=config.code_dropout)
        self.code_tower = CausalTransformer(over_codes, rows.shape[1])
        self.nodes = NodeTables(
            CodeTables(dataset, self.suffixes, width),
            self.tree,
            self.get_buffer("seen"),
            config.rows_to,
        )
        self.nearness: Nearness | None = None
        if config.nearness:
            self.nearness = Nearness(dataset, config.nearness, self.history, width, rows.shape[1])
            self._keep_means()
        self.reranker: Reranker | None = None
        if config.transitions:
            self.reranker = Reranker(dataset, self.history, width, self._near())
        self._static: list[Tensor] | None = None  # the nodes' vectors, while the weights stay

    def extra_repr(self) -> str:
        return repr(self.config)

    def train(self, mode: bool = True) -> "Generator":
        self._static = None
        return super().train(mode)

    def examples(self, dataset: SequenceDataset) -> Tensor:
        return torch.from_numpy(dataset.training_windows(self.history))

    def predictions(self, examples: Tensor) -> Tensor:
        return (examples[:, 1:] != NO_ITEM).sum(1)

    def loss(self, examples: Tensor) -> Tensor:
        """Return the mean of the targets' negative log-probabilities, smoothed as configured."""
        inputs, nexts = examples[:, :-1], examples[:, 1:]
        predicts = nexts != NO_ITEM
        dropped = None
        if self.config.drop_rows and self.training:
            draw = torch.rand(len(self.get_buffer("seen")), device=examples.device)
            dropped = draw < self.config.drop_rows
        embeddings = self.items(dropped)
        states = self.tower(functional.embedding(inputs[predicts], embeddings), predicts)
        near = None if self.nearness is None else self.nearness(inputs, predicts)
        tables = self._tables(dropped)
        return -self._log_probabilities(states, near, nexts[predicts], tables).mean()

    @torch.no_grad()
    def log_probabilities(self, histories: Tensor, items: Tensor) -> Tensor:
        """Return the exact log-probability (B,) of one item after each history.

        Args:
            histories: (B, T) int64 item numbers, oldest first, padded with -1 at the end.
            items: (B,) int64.
        """
        states, near = self._read(histories)
        tree = self._tree()
        total = states.new_zeros(len(states))
        nodes = torch.zeros_like(items)
        for depth in range(tree.length):
            first, count = tree.children(depth, nodes)
            step = self._step(states, near, depth, tree.rows[items, :depth], nodes, first, count)
            nodes = tree.nodes[items, depth]
            total += step.gather(1, (nodes - first)[:, None]).squeeze(1)
        return total

    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        """Return which items have an ID that can be written, and no known item has it."""
        accepted = np.asarray((codes < self.codebook_size).all(1))
        accepted &= suffixes < max(1, self.suffixes)
        if self.nearness is not None and self.nearness.source == "content":
            accepted[:] = False
        known = {tuple(row) for row in self.tree.rows.tolist()}
        for row in accepted.nonzero()[0].tolist():
            accepted[row] = self._row(codes[row], suffixes[row]) not in known
        return accepted

    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        if not self.accepts(codes, suffixes).all():
            raise InputError("an item's ID cannot be written, or a known item has it")
        device = self.device
        more = np.asarray([self._row(*each) for each in zip(codes, suffixes, strict=True)])
        self.tree = ItemTree(np.concatenate([self.tree.rows.cpu().numpy(), more])).to(device)
        seen = self.get_buffer("seen")
        self.seen = torch.cat([seen, seen.new_zeros(len(codes))])
        given = torch.from_numpy(codes.astype(np.int64))
        self.items.extend(given)
        if self.nearness is not None:
            self.nearness.extend(given)
        if self.reranker is not None:
            self.reranker.extend(len(codes), self._near())
        self.nodes.rebuild(self.tree, self.get_buffer("seen"))
        self._keep_means()
        self._static = None

    @torch.no_grad()
    def recommend(
        self,
        histories: Tensor,
        top: int = 10,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
        beams: int | None = None,
    ) -> FoundItems:
        beams = max(top, beams or self.config.beams)
        if self.reranker is None:
            return self._search(histories, top, beams, excluded, candidates)
        found = self._search(histories, beams, beams, excluded, candidates)
        items, scores = self.reranker(histories, found, excluded, candidates)
        return FoundItems(items[:, :top], scores[:, :top])

    @property
    def calibrates(self) -> bool:
        return self.reranker is not None

    @torch.no_grad()
    def calibrate(self, dataset: SequenceDataset) -> None:
        """Fit how much transitions and the history's own items count, if they rerank."""
        if self.reranker is None:
            return
        users = users_to_fit(dataset)
        histories = torch.from_numpy(dataset.histories("validation", self.history, users))
        histories = histories.to(self.device)
        beams = self.config.beams
        parts = [
            self._search(part, beams, beams) for part in torch.split(histories, self.users_at_once)
        ]
        found = FoundItems(*(torch.cat(each) for each in zip(*parts, strict=True)))
        targets = torch.from_numpy(dataset.targets("validation")[users]).to(self.device)
        self.reranker.fit(histories, found, targets)

    def _search(
        self,
        histories: Tensor,
        top: int,
        beams: int,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
    ) -> FoundItems:
        states, near = self._read(histories)
        users = torch.arange(len(states), device=states.device)

        def step(
            depth: int, user: Tensor, codes: Tensor, nodes: Tensor, first: Tensor, count: Tensor
        ) -> Tensor:
            own = None if near is None else near[:, user]
            return self._step(states[users[user]], own, depth, codes, nodes, first, count)

        return tree_search(
            step,
            self._tree(),
            len(states),
            top=top,
            beams=beams,
            excluded=excluded,
            candidates=candidates,
        )

    def _row(self, codes: NDArray[np.uint16], suffix: np.uint32) -> tuple[int, ...]:
        row = tuple(codes.tolist())
        return (*row, int(suffix)) if self.suffixes else row

    def _tree(self) -> ItemTree:
        if self.tree.device != self.device:
            self.tree = self.tree.to(self.device)
        return self.tree

    def _read(self, histories: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the histories' states (B, d) and, by position, their nearness sums."""
        present = check_histories(histories, self.history)
        states = self.tower(self.items(items=histories[present]), present)
        near = None if self.nearness is None else self.nearness.of_histories(histories)
        return last_of_each(states, present), near

    def _near(self) -> Tensor | None:
        """Return the vectors (n_items, D) by which new items are found, if they are."""
        if self.nearness is None or not self.config.new_items:
            return None
        return self.nearness.get_buffer("vectors")

    def _keep_means(self) -> None:
        """Keep the mean content vector of the items under each node."""
        if self.nearness is None:
            return
        vectors = self.nearness.get_buffer("vectors")
        for depth in range(1, self.tree.length + 1):
            counts = self.tree.sums(depth, torch.ones_like(vectors[:, :1]))
            means = self.tree.sums(depth, vectors) / counts
            self.register_buffer(f"means{depth}", means, persistent=False)

    def _tables(self, dropped: Tensor | None = None) -> list[Tensor]:
        """Return the vectors of all nodes by depth 1 … length."""
        if dropped is None and self._static is not None:
            return self._static
        tables: list[Tensor] = self.nodes(self._tree(), dropped)
        if not self.training and not torch.is_grad_enabled():
            self._static = tables
        return tables

    def _terms(
        self, y: Tensor, near: Tensor | None, depth: int, tables: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return what `sibling_logits` multiplies at a depth from 0."""
        terms = [(y, tables[depth])]
        if near is not None:
            terms.append((near, self.get_buffer(f"means{depth + 1}")))
        return terms

    def _log_probabilities(
        self, states: Tensor, near: Tensor | None, targets: Tensor, tables: Sequence[Tensor]
    ) -> Tensor:
        """Return the smoothed log-probabilities (P,) of targets among items seen in training."""
        tree = self._tree()
        branches = functional.embedding(targets, self.nodes.get_buffer("branches").int()).bool()
        columns = torch.arange(tree.length, device=states.device)
        last = (branches * (columns + 1)).amax(1)
        written = columns < last[:, None]
        rows, nodes = tree.rows[targets], functional.pad(tree.nodes[targets], (1, 0))
        y = self.code_tower(self._inputs(states, rows)[written], written)
        at = (written.flatten().cumsum(0) - 1).view(written.shape)
        total = states.new_zeros(len(states))
        for depth in range(tree.length):
            which = branches[:, depth].nonzero().squeeze(1)
            if not len(which):
                continue
            parent, node = nodes[which, depth], nodes[which, depth + 1]
            own = self._among_siblings(
                self._terms(
                    functional.embedding(at[which, depth], y),
                    None if near is None else functional.embedding(which, near[depth]),
                    depth,
                    tables,
                ),
                depth,
                parent,
                node,
            )
            total = total.index_add(0, which, own)
        return total

    def _among_siblings(
        self, terms: list[tuple[Tensor, Tensor]], depth: int, parents: Tensor, nodes: Tensor
    ) -> Tensor:
        """Return the smoothed log-probabilities (Q,) of nodes among their trained siblings."""
        tree = self._tree()
        first, count = tree.children(depth, parents)
        logits, present = sibling_logits(terms, parents, first, count)
        members = first[:, None] + torch.arange(logits.shape[1], device=logits.device)
        trained = self.nodes.trained(depth + 1)
        counted = present & trained[members.clamp(max=len(trained) - 1)]
        found = sibling_log_probabilities(logits, counted)
        own = found.gather(1, (nodes - first)[:, None]).squeeze(1)
        if share := self.config.smoothing:
            spread = found.masked_fill(~counted, 0).sum(1) / counted.sum(1)
            own = (1 - share) * own + share * spread
        return own

    def _inputs(self, states: Tensor, rows: Tensor) -> Tensor:
        """Return the code Transformer's inputs (P, positions, d), the codes before each place."""
        running, codes = self.into(states), self.written()
        inputs = [running]
        for depth in range(rows.shape[1] - 1):
            place = self.written.place(depth, rows[:, depth])
            running = running + functional.embedding(place, codes)
            inputs.append(running)
        return torch.stack(inputs, 1)

    def _step(
        self,
        states: Tensor,
        near: Tensor | None,
        depth: int,
        codes: Tensor,
        nodes: Tensor,
        first: Tensor,
        count: Tensor,
    ) -> Tensor:
        """Return the log-probabilities (Q, widest) of each node's children.

        Args:
            states: (Q, d), the histories' states.
            near: (positions, Q, D), or None.
            codes: (Q, depth) int64, the codes that are written.
            nodes: (Q,) int64, which they lead to.
            first, count: (Q,) int64, the children's range.
        """
        rows = functional.pad(codes, (0, 1))
        inputs = self._inputs(states, rows)
        present = torch.ones(inputs.shape[:2], dtype=torch.bool, device=states.device)
        y = self.code_tower(inputs.flatten(0, 1), present).view(*inputs.shape[:2], -1)[:, -1]
        own = None if near is None else near[depth]
        terms = self._terms(y, own, depth, self._tables())
        logits, among = sibling_logits(terms, nodes, first, count)
        return sibling_log_probabilities(logits, among)
