"""What every vector quantizer offers."""

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

# Residuals that a level's k-means sees. Of 256, FAISS's number, k-means with a beam of 5 loses .396
# of Amazon Beauty's validation items instead of .406; starting takes longer.
START_ROWS_PER_CODEWORD = 128


@dataclass
class Chosen:
    """The codewords that one level chose for a batch.

    Attributes:
        codes: (n,) int64.
        codewords: (n, d), with gradients to the codebook alone.
        relaxed: (n, d), the codewords in value; with gradients to the level's input too where the
            variant relaxes its choice, else the codewords themselves.
    """

    codes: Tensor
    codewords: Tensor
    relaxed: Tensor


@dataclass
class QuantizerOutput:
    """What one level, or a stack, made of a batch.

    Attributes:
        quantized: (n, d); its value is the codeword (`decode(codes)` in eval mode), its gradient
            the variant's own.
        codes: (n,) int64.
        loss: scalar, the variant's auxiliary loss: the mean over the batch of squared distances
            SUMMED over dimensions, weighted.
        codewords: (n, d), the chosen codewords with gradients to the codebook alone.
    """

    quantized: Tensor
    codes: Tensor
    loss: Tensor
    codewords: Tensor


class Quantizer(nn.Module):
    """One level: vectors (n, d) ↔ codes (n,) of 0…K−1.

    In eval mode `forward(z).quantized` equals `decode(encode(z))`: an ID alone gives its vector.
    """

    # Whether each level codes the vector itself instead of what the levels before it left; their
    # codewords still add up to the vector.
    parallel = False
    # Whether the code is that of the nearest codeword, so that a search may keep several paths.
    by_distance = True
    # Whether codes are made of bits, so that K has to be a power of two.
    binary = False
    # Whether training draws its codes in a way of its own, so that no search chooses them.
    draws = False
    # Whether the codebook learns in the forward pass, without a gradient.
    follows = False
    # Steps after which the codebook that is searched in training is formed anew.
    refresh_every = 1

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        self.codebook_size = config.codebook_size
        self.dimension = dimension
        self._searched: Tensor | None = None
        # The same with gradients, until it is used; in a tuple, as a Parameter would be registered.
        self._live: tuple[Tensor, ...] = ()
        self._half_norms = torch.zeros(0)
        self._age = 0

    def forward(self, z: Tensor, codes: Tensor | None = None) -> QuantizerOutput:
        """Quantize a batch (n, d); in training mode with gradients.

        Args:
            codes: (n,), where a search has chosen them; the nearest codewords' without.
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
        """Return what a training pass chooses for a batch (n, d).

        Args:
            codes: (n,), where a search has chosen them; the nearest codewords' without.
        """
        codes = self.encode(z) if codes is None else codes
        q = self.codewords(codes)
        return Chosen(codes, q, q)

    def codewords(self, codes: Tensor) -> Tensor:
        """Return the codewords of `codes` (n,) with gradients to the parameters, (n, d).

        Where the search has just formed the codebook, its rows are taken from that.
        """
        live, self._live = self._live or (self.codebook(),), ()
        return functional.embedding(codes, live[0])

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        """Return what stands for q (n, d) in training: the variant's gradient estimator.

        In a stack z is its input, q the sum of the levels' codewords, and the last level, whose gap
        q − z is, makes the step. The default is straight-through: q in value, the identity in z's
        gradient.

        Args:
            codes: (n,), of the level that makes the step.
        """
        return z + (q - z).detach()

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        """Return the auxiliary loss of a batch; the default is the commitment, if there is one."""
        if not isinstance(self.config, CommittedConfig):
            return z.new_zeros(())
        return self.config.commitment * mean_square(z - q.detach())

    def auxiliary_of_sum(self, z: Tensor, total: Tensor) -> Tensor:
        """Return a stack's auxiliary loss, of its input z and the sum of its codewords.

        Where codewords learn by gradient their sum is pulled to z, weight · ‖sg z − Σ q‖²: the
        codebook loss of VQ-VAE on the sum. Surrogates hand a codeword only the part of the gradient
        along the gap, with a slope below 1; this is all of it. **Ours**, with one `sum_weight` for
        all variants; the study `components` measures it.
        """
        if not (isinstance(self.config, SummedConfig) and self.config.sum_weight):
            return z.new_zeros(())
        return self.config.sum_weight * mean_square(total - z.detach())

    def codebook(self) -> Tensor:
        """Return the codewords that are searched, (K, d)."""
        raise NotImplementedError

    @classmethod
    @torch.no_grad()
    def start_levels(
        cls, levels: "Sequence[Quantizer]", z: Tensor, generator: torch.Generator
    ) -> None:
        """Start a stack from latents (n, d): each level from what those before it leave.

        Where a search keeps several paths, a level starts from the residuals of all of them, as
        FAISS trains its residual quantizer: more vectors, and of the kind it will see. Where the
        best paths leave nothing, theirs alone go on, so that later levels add nothing to them.
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
        """Start the codebook from latents (n, d): their k-means centres, or at random."""
        self.set_codewords(self.start_rows(z, generator))
        self._searched = None

    def start_rows(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return K rows (K, w) for vectors (n, w), as the config's `start` says."""
        if self.config.start == "random":
            rows = torch.randn(self.codebook_size, z.shape[1], generator=generator)
            return rows.to(z) * z.square().mean().sqrt()
        most = START_ROWS_PER_CODEWORD * self.codebook_size
        if len(z) > most:
            z = z[torch.randperm(len(z), generator=generator)[:most].to(z.device)]
        return kmeans(z, self.codebook_size, generator)

    def set_codewords(self, centres: Tensor) -> None:
        """Make the codebook that of centres (K, d); called without gradients."""
        raise NotImplementedError

    def after_step(self, progress: float) -> dict[str, int]:
        """Bring parameters into their bounds, and schedules to the training's progress, 0…1.

        Returns:
            How often each safeguard stepped in.
        """
        self._live = ()
        self._age += 1
        if self._age >= self.refresh_every:
            self.forget_searched()
        return {}

    def forget_searched(self) -> None:
        """Have the searched codebook formed anew when it is needed next."""
        self._searched, self._live = None, ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device or precision, and form the searched codebook anew there."""
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
        """Return the numbers (n, …) that `encode` compares: codes are the same where these are."""
        codewords = self.searched()
        return half_distances(z, codewords, self._half_norms)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the codewords of `codes`, (n, d)."""
        return self.searched()[codes]

    @torch.no_grad()
    def searched(self) -> Tensor:
        """Return the codebook without gradient.

        In eval mode it is formed once, in training mode at least every `refresh_every` steps.
        """
        if self._searched is None or (self.training and self.refresh_every == 1):
            with torch.set_grad_enabled(self.training):
                live = self.codebook()
            self._live = (live,) if self.training else ()
            self._searched = live.detach()
            self._half_norms = self._searched.square().sum(1) / 2
            self._age = 0
        return self._searched


def _nothing(left: Tensor, z: Tensor) -> bool:
    """Return whether what is left (n, d) of latents z is no more than a search can tell apart."""
    return bool(left.square().sum() <= torch.finfo(z.dtype).eps * z.square().sum())


def mean_square(gap: Tensor) -> Tensor:
    """Return the squared lengths of (n, d), summed over d, averaged over n."""
    return gap.square().sum(-1).mean()
