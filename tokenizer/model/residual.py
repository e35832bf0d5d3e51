"""Quantizers stacked on residuals: level l codes the residual of levels 1…l−1."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from data_prep.embedding.batch_invariance import Function
from tokenizer.quantizers.base.path_tables import PathTables, tables_fit
from tokenizer.quantizers.base.quantizer import Quantizer, QuantizerOutput
from tokenizer.quantizers.base.search import search_paths

__all__ = ["ResidualQuantizer"]

GRAIN = 0.02  # of the latents' standard deviation: near items have different hashes
MULTIPLIER = 6364136223846793005  # Knuth's, odd and large: digests of different codes differ


class ResidualQuantizer(nn.Module):
    """L levels; the decoded vector of codes (n, L) is the sum of the levels' codewords.

    The levels of a `parallel` variant code the vector itself instead of a residual.

    Codes that several items of the catalogue have are crowded. An item with crowded codes takes one
    of the `choices` nearest codewords of the last level, chosen by a hash of its own latent: near
    items thus get different codes, and their prefix stays. The codes of an item depend on the item
    alone.

    Attributes:
        beam: number of paths that the search keeps.
        choices: number of codewords that an item with crowded codes chooses from; 1 turns this off.
        crowded: (m,) int64, digests of the crowded codes, ascending; a buffer, None until
            `mark_crowded`.
        grain: (d,) buffer; the whole part of its product with a latent is the latent's hash.
    """

    crowded: Tensor | None
    grain: Tensor | None

    def __init__(self, levels: Sequence[Quantizer]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        # For one level the greedy search is exact.
        self.beam = levels[0].config.search_beam if len(levels) > 1 else 1
        self.choices = levels[0].config.crowded_choices if levels[0].by_distance else 1
        self.register_buffer("crowded", None)
        self.register_buffer("grain", None)
        self._kept: PathTables | None = None

    @property
    def stages(self) -> list[Quantizer]:
        """The levels, typed as quantizers."""
        return cast("list[Quantizer]", list(self.levels))

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize (n, d); codes are (n, L).

        In training, levels are chained hard: r₁ = z and r_{l+1} = r_l − sg[q_l]. Each level's
        auxiliary loss of r_l therefore reaches the encoder, as in RQ-VAE. The last level then
        applies its gradient estimator once to the sum, e = Σ q_l − z. Thus the encoder gets the
        gradient once, and the codewords of all levels get the same gradient. The loss is the sum of
        the levels' auxiliary losses plus the sum's auxiliary loss. Parallel levels only have the
        sum's.
        """
        if not self.training:
            codes = self.encode(z)
            decoded = self.decode(codes)
            return QuantizerOutput(decoded, codes, z.new_zeros(()), decoded)
        searched = self.encode(z) if self.beam > 1 and not self.stages[0].draws else None
        if len(self.stages) == 1:  # the sum of one level is its codeword
            return self._forward_alone(z, searched)
        parallel = self.stages[0].parallel
        residual, loss = z, z.new_zeros(())
        total, relaxed = torch.zeros_like(z), torch.zeros_like(z)
        codes_of_levels = []
        for index, level in enumerate(self.stages):
            chosen = level.choose(residual, _column(searched, index))
            if not parallel:
                loss = loss + level.auxiliary(residual, chosen.codewords, chosen.codes)
                residual = residual - chosen.codewords.detach()
            total = total + chosen.codewords
            relaxed = relaxed + chosen.relaxed
            codes_of_levels.append(chosen.codes)
        last = self.stages[-1]
        if parallel:
            loss = last.auxiliary(z, total, codes_of_levels[-1])
        out = last.estimate(z, relaxed, codes_of_levels[-1])
        loss = loss + last.auxiliary_of_sum(z, total)
        return QuantizerOutput(out, torch.stack(codes_of_levels, dim=1), loss, total)

    def _forward_alone(self, z: Tensor, searched: Tensor | None) -> QuantizerOutput:
        level = self.stages[0]
        output: QuantizerOutput = level(z, _column(searched, 0))
        loss = output.loss + level.auxiliary_of_sum(z, output.codewords)
        codes = output.codes.unsqueeze(1)
        return QuantizerOutput(output.quantized, codes, loss, output.codewords)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return codes (n, L) int64."""
        tables = self._tables()
        if tables is None:
            codes = self._best(z)
            return self._told_apart(z, codes, lambda: self._scores_of_last(z, codes))
        products = tables.products(z)
        found = tables.search(products, self.beam)
        return self._told_apart(
            z, found, lambda: tables.continued(products, found[:, None, :-1]).squeeze(1)
        )

    def _told_apart(self, z: Tensor, codes: Tensor, scores: Callable[[], Tensor]) -> Tensor:
        """Return codes (n, L) in which crowded ones have another last code.

        Args:
            scores: gives what the last level compares after the other codes, (n, K).
        """
        if self.training or self.crowded is None:
            return codes
        near = scores()
        choices = min(self.choices, near.shape[1])
        turn = self.hashed(z).floor().long().remainder(choices)
        nearest = near.topk(choices, dim=1, largest=False).indices
        chosen = nearest.gather(1, turn).squeeze(1)
        last_codes = torch.where(torch.isin(_digests(codes), self.crowded), chosen, codes[:, -1])
        return torch.cat([codes[:, :-1], last_codes.unsqueeze(1)], dim=1)

    def hashed(self, z: Tensor) -> Tensor:
        """Return the numbers (n, 1) whose whole parts are the hashes of latents (n, d)."""
        assert self.grain is not None
        return (z * self.grain).sum(1, keepdim=True)

    @torch.no_grad()
    def mark_crowded(self, z: Tensor, codes: Tensor) -> int:
        """Mark the codes (n, L) that several of the latents z (n, d) have; return their number.

        Args:
            codes: as `encode` gives them while none is marked.
        """
        digests, counts = torch.unique(_digests(codes), return_counts=True)
        if self.choices == 1 or not (counts > 1).any():
            return 0
        self.crowded = digests[counts > 1]
        direction = torch.randn(z.shape[1], generator=torch.Generator().manual_seed(0)).to(z)
        spread = (z @ direction).std().clamp(min=torch.finfo(z.dtype).tiny)
        self.grain = direction / (spread * GRAIN)
        return len(self.crowded)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take on the stored marks, if there are any."""
        for name in ("crowded", "grain"):
            stored = state.get(f"{prefix}{name}")
            setattr(self, name, None if stored is None else torch.empty_like(stored))
        super()._load_from_state_dict(state, prefix, *rest)

    def compared(self, z: Tensor) -> list[tuple[Function, Tensor]]:
        """Return the functions whose numbers decide codes, each with rows to compare them on.

        Args:
            z: noise like latents, (n, d).
        """
        tables = self._tables()
        if tables is None:
            functions: list[Function] = [level.compared for level in self.stages]
        else:
            functions = [tables.products]
        if self.crowded is not None:
            functions.append(self.hashed)
        return [(function, z) for function in functions]

    @property
    def extends_paths(self) -> bool:
        """Whether products have more rows than there are vectors: one for each path of a beam."""
        return self._searches_paths and self._tables() is None

    @property
    def _searches_paths(self) -> bool:
        return self.beam > 1 and self.stages[0].by_distance

    def _tables(self) -> PathTables | None:
        """Return the tables of the searched codebooks; None if the search uses none."""
        first = self.stages[0]
        if not self._searches_paths or not tables_fit(len(self.stages), first.codebook_size):
            return None
        codebooks = [level.searched() for level in self.stages]
        kept = self._kept
        if kept is None or not kept.are_of(codebooks):
            kept = self._kept = PathTables(codebooks)
        return kept

    def _scores_of_last(self, z: Tensor, codes: Tensor) -> Tensor:
        """Return what the last level compares (n, K) after the first levels' codes."""
        last, left = self.stages[-1], z
        if not last.parallel:
            for level, column in zip(self.stages[:-1], codes.T, strict=False):
                left = left - level.decode(column)
        return last.compared(left)

    def _best(self, z: Tensor) -> Tensor:
        """Return the codes (n, L) of the best paths."""
        if self._searches_paths:
            return search_paths(z, [level.searched() for level in self.stages], self.beam)
        residual, codes = z, []
        for level in self.stages:
            chosen = level.encode(residual)
            if not level.parallel:
                residual = residual - level.decode(chosen)
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors (n, d) of codes (n, L), or of the codes of the first levels alone."""
        parts = [level.decode(column) for level, column in zip(self.stages, codes.T, strict=False)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def codebooks(self) -> Tensor:
        """Return the codewords of all levels, (L, K, d)."""
        return torch.stack([level.searched() for level in self.stages])

    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Start the levels from latents (n, d)."""
        self.stages[0].start_levels(self.stages, z, generator)

    @torch.no_grad()
    def refill(self, z: Tensor, codes: Tensor) -> list[int]:
        """Put codewords that no latent uses on the latents that are coded worst.

        A level's codeword becomes what the levels before it leave of such a latent. Each latent
        gets one codeword at most, and a latent that its codes give exactly gets none.

        Args:
            z: the latents of all training items (n, d).
            codes: their codes (n, L).

        Returns:
            For each level, how many codewords moved.
        """
        if not self.stages[0].refills:
            return [0] * len(self.stages)
        inputs = [z]
        for level, column in zip(self.stages, codes.T, strict=True):
            inputs.append(inputs[-1] - level.decode(column))
        gaps = inputs[-1].square().sum(1)
        bad = gaps > torch.finfo(z.dtype).eps * z.square().sum(1).mean()
        worst = gaps.argsort(descending=True, stable=True)[: int(bad.sum())]
        moved = []
        for level, column, before in zip(self.stages, codes.T, inputs, strict=False):
            unused = (torch.bincount(column, minlength=level.codebook_size) == 0).nonzero()
            rows, worst = worst[: len(unused)], worst[len(unused) :]
            if len(rows):
                level.put(unused.squeeze(1)[: len(rows)], before[rows])
            moved.append(len(rows))
        return moved

    def after_step(self, progress: float) -> list[dict[str, int]]:
        """Bring every level's parameters into their bounds, and its schedules to `progress` in 0…1.

        Returns:
            For each level, how often each safeguard acted.
        """
        return [level.after_step(progress) for level in self.stages]


def _digests(codes: Tensor) -> Tensor:
    """Return a digest (n,) int64 of each row of codes (n, L)."""
    digests = torch.zeros_like(codes[:, 0])
    for column in codes.T:
        digests = digests * MULTIPLIER + column + 1  # wraps around
    return digests


def _column(codes: Tensor | None, index: int) -> Tensor | None:
    return None if codes is None else codes[:, index]
