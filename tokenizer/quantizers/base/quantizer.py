"""The interface of every vector quantizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.quantizer_config import CommittedConfig, QuantizerConfig, SummedConfig
from tokenizer.quantizers.base.clustering import kmeans
from tokenizer.quantizers.base.search import CHUNK, extend_paths, half_distances, nearest_codes

__all__ = ["Chosen", "Quantizer", "QuantizerOutput", "mean_square"]

# Residuals in a level's k-means for each codeword. With 256, FAISS's number, the validation error
# of k-means with a beam of 5 on Amazon Beauty is .396 instead of .406, but the start takes longer.
START_ROWS_PER_CODEWORD = 128


@dataclass
class Chosen:
    """The codewords that one level chose for a batch.

    Attributes:
        codes: (n,) int64.
        codewords: (n, d), with gradients to the codebook only.
        relaxed: (n, d), equal to the codewords. If the variant relaxes its choice, gradients also
            go to the level's input; else these are the codewords themselves.
    """

    codes: Tensor
    codewords: Tensor
    relaxed: Tensor


@dataclass
class QuantizerOutput:
    """The output of one level, or of a stack, for a batch.

    Attributes:
        quantized: (n, d); its value is the codeword (`decode(codes)` in eval mode), and its
            gradient is the variant's estimator.
        codes: (n,) int64.
        loss: scalar, the variant's weighted auxiliary loss. Squared distances are SUMMED over
            dimensions and averaged over the batch.
        codewords: (n, d), the chosen codewords, with gradients to the codebook only.
    """

    quantized: Tensor
    codes: Tensor
    loss: Tensor
    codewords: Tensor


class Quantizer(nn.Module):
    """One level: vectors (n, d) ↔ codes (n,) of 0…K−1.

    In eval mode `forward(z).quantized` equals `decode(encode(z))`: an ID alone gives its vector.
    """

    # Whether each level codes the vector itself instead of a residual. The levels' codewords still
    # add up to the vector.
    parallel = False
    # Whether the nearest codeword is chosen. Only then can a search keep several paths.
    by_distance = True
    # Whether a code is a string of bits, so that K must be a power of two.
    binary = False
    # Whether codes are drawn at random in training instead of searched.
    draws = False
    # Whether the codebook learns in the forward pass, without a gradient.
    follows = False
    # Whether codewords that no item uses are put on latents at each measurement.
    refills = False
    # How many training steps search the same codebook before it is computed again.
    refresh_every = 1

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        self.codebook_size = config.codebook_size
        self.dimension = dimension
        self._searched: Tensor | None = None
        # The searched codebook with gradients, until it is used. It is in a tuple because a module
        # would register a bare Parameter.
        self._live: tuple[Tensor, ...] = ()
        self._half_norms = torch.zeros(0)
        self._age = 0

    def forward(self, z: Tensor, codes: Tensor | None = None) -> QuantizerOutput:
        """Quantize a batch (n, d); in training mode with gradients.

        Args:
            codes: (n,), chosen by a search; None for those of the nearest codewords.
        """
        if not self.training:
            codes = self.encode(z) if codes is None else codes
            decoded = self.decode(codes)
            return QuantizerOutput(decoded, codes, z.new_zeros(()), decoded)
        chosen = self.choose(z, codes)
        codes, q = chosen.codes, chosen.codewords
        out = self.estimate(z, chosen.relaxed, codes)
        return QuantizerOutput(out, codes, self.auxiliary(z, q, codes), q)

    def choose(self, z: Tensor, codes: Tensor | None = None) -> Chosen:
        """Return the codewords that a training pass chooses for a batch (n, d).

        Args:
            codes: (n,), chosen by a search; None for those of the nearest codewords.
        """
        codes = self.encode(z) if codes is None else codes
        q = self.codewords(codes)
        return Chosen(codes, q, q)

    def codewords(self, codes: Tensor) -> Tensor:
        """Return the codewords of `codes` (n,) with gradients to the parameters, (n, d).

        If the search has just computed the codebook, the codewords are rows of it.
        """
        live, self._live = self._live or (self.codebook(),), ()
        return functional.embedding(codes, live[0])

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        """Return the stand-in for q (n, d) in training: the variant's gradient estimator.

        In a stack, z is the stack's input, q is the sum of the levels' codewords, and the last
        level applies its estimator to both. The default is the straight-through estimator: the
        value is q, and the gradient to z is the identity.

        Args:
            codes: (n,), of the level that applies the estimator.
        """
        return z + (q - z).detach()

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        """Return a batch's auxiliary loss; by default the commitment loss, if there is one."""
        if not isinstance(self.config, CommittedConfig):
            return z.new_zeros(())
        return self.config.commitment * mean_square(z - q.detach())

    def auxiliary_of_sum(self, z: Tensor, total: Tensor) -> Tensor:
        """Return a stack's auxiliary loss for its input z and the sum of its codewords.

        If codewords learn by gradient, this loss pulls their sum to z: weight · ‖sg z − Σ q‖². It
        is VQ-VAE's codebook loss, applied to the sum. A surrogate passes to a codeword only the
        part of the gradient along the gap, times a slope below 1; this loss passes all of it. The
        loss is **ours**. All variants share one `sum_weight`; the study `components` measures its
        effect.
        """
        if not (isinstance(self.config, SummedConfig) and self.config.sum_weight):
            return z.new_zeros(())
        return self.config.sum_weight * mean_square(total - z.detach())

    def codebook(self) -> Tensor:
        """Return the codewords (K, d) among which codes are searched."""
        raise NotImplementedError

    @classmethod
    @torch.no_grad()
    def start_levels(
        cls, levels: "Sequence[Quantizer]", z: Tensor, generator: torch.Generator
    ) -> None:
        """Start a stack from latents (n, d): each level from the residuals of the levels before it.

        If the search keeps several paths, a level starts from the residuals of all paths, as in
        FAISS's residual quantizer: there are more of them, and they are like those it will code. If
        the best paths leave no residual, only the best paths go on, so that later levels add
        nothing.
        """
        residuals, scores = z.unsqueeze(1), z.new_zeros(len(z), 1)
        for level in levels:
            level.start_from(residuals.flatten(0, 1), generator)
            if level.by_distance:
                beam = level.config.search_beam
                residuals, scores, _ = extend_paths(residuals, scores, level.searched(), beam)
                if _nothing(residuals[:, 0], z):
                    residuals, scores = residuals[:, :1], scores[:, :1]
            else:
                parts = torch.split(residuals.flatten(0, 1), CHUNK)
                left = [part - level.decode(level.encode(part)) for part in parts]
                residuals = torch.cat(left).unsqueeze(1)

    @torch.no_grad()
    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Start the codebook from latents (n, d): from k-means centres or at random."""
        self.set_codewords(self.start_rows(z, generator))
        self._searched = None

    def start_rows(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return K rows (K, w) made from vectors (n, w) as the field `start` says."""
        if self.config.start == "random":
            rows = torch.randn(self.codebook_size, z.shape[1], generator=generator)
            return rows.to(z) * z.square().mean().sqrt()
        most = START_ROWS_PER_CODEWORD * self.codebook_size
        if len(z) > most:
            z = z[torch.randperm(len(z), generator=generator)[:most].to(z.device)]
        return kmeans(z, self.codebook_size, generator)

    def set_codewords(self, centres: Tensor) -> None:
        """Set the codewords to the centres (K, d); called without gradients."""
        raise NotImplementedError

    def put(self, which: Tensor, targets: Tensor) -> None:
        """Put the codewords `which` (m,) on `targets` (m, d); only if the variant `refills`.

        Targets that are far beyond the level's scale are left out.
        """
        raise NotImplementedError

    def after_step(self, progress: float) -> dict[str, int]:
        """Bring parameters into their bounds, and schedules to `progress` in 0…1.

        Returns:
            How often each safeguard acted, by its name.
        """
        self._live = ()
        self._age += 1
        if self._age >= self.refresh_every:
            self.forget_searched()
        return {}

    def forget_searched(self) -> None:
        """Forget the searched codebook, so that its next use computes it again."""
        self._searched, self._live = None, ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device or precision, and forget the searched codebook."""
        self.forget_searched()
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    def train(self, mode: bool = True) -> Self:
        """Enter training or eval mode; parameters change in training mode only."""
        if not (mode and self.training):
            self.forget_searched()
        return super().train(mode)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return the index of the nearest codeword, (n,) int64."""
        codewords = self.searched()
        return nearest_codes(z, codewords, self._half_norms)

    @torch.no_grad()
    def compared(self, z: Tensor) -> Tensor:
        """Return the numbers (n, …) that `encode` compares; equal numbers give equal codes."""
        codewords = self.searched()
        return half_distances(z, codewords, self._half_norms)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the codewords of `codes`, (n, d)."""
        return self.searched()[codes]

    @torch.no_grad()
    def searched(self) -> Tensor:
        """Return the codebook (K, d) that is searched, without gradients.

        In eval mode it is computed once, in training at least every `refresh_every` steps.
        """
        if self._searched is None or (self.training and self.refresh_every == 1):
            with torch.set_grad_enabled(self.training):
                live = self.codebook()
            self._live = (live,) if self.training else ()
            searched = live.detach()
            # Before the codebook: another thread that finds the codebook needs its norms.
            self._half_norms = searched.square().sum(1) / 2
            self._age = 0
            self._searched = searched
        return self._searched


def _nothing(left: Tensor, z: Tensor) -> bool:
    """Return whether the residuals (n, d) of latents z are below the precision of a search."""
    return bool(left.square().sum() <= torch.finfo(z.dtype).eps * z.square().sum())


def mean_square(gap: Tensor) -> Tensor:
    """Return the mean squared length of the rows of (n, d)."""
    return gap.square().sum(-1).mean()
