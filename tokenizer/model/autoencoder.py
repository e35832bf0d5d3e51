"""Content vector → latent → residual codes → reconstructed vector."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from data_prep.embedding.batch_invariance import (
    Function,
    blockwise,
    differs_on_one_thread,
    identical_block_sizes,
    one_thread,
)
from tokenizer.config import AutoencoderConfig, QuantizerConfig
from tokenizer.model.networks import NETWORKS
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import QUANTIZERS

__all__ = ["Autoencoder", "AutoencoderOutput"]

# Rows a product: large for speed; smaller for the last rows if that changes no bits.
BLOCKS = (64, 32, 16, 8)
CODING_BLOCKS = (512, 128, 32, 8)
NOISE = 512  # rows of noise with which block sizes are compared
GPU_BLOCK = 4096  # rows of every pass on a GPU
Pass = Literal["latents", "codes", "decoded"]


@dataclass
class AutoencoderOutput:
    """The result of one training pass.

    Attributes:
        reconstruction: (n, D), in standardised units.
        latent: (n, d).
        quantized: (n, d); the latent itself in a pass without quantization.
        loss: the quantizers' auxiliary loss.
    """

    reconstruction: Tensor
    latent: Tensor
    quantized: Tensor
    loss: Tensor


class _Blocks(NamedTuple):
    """Block sizes of a pass, and whether the pass must run on one thread."""

    sizes: tuple[int, ...]
    alone: bool


class Autoencoder(nn.Module):
    """Encoder, residual stack, decoder, over standardised vectors.

    To standardise is to subtract the mean and to divide by one scalar: (x − mean) / scale, where
    scale² is the mean square of a centred component. One scalar keeps directions and relative
    distances.

    Attributes:
        mean: (D,) buffer.
        scale: scalar buffer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, dimension: int, config: AutoencoderConfig, quantizer: QuantizerConfig
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(()))
        self.network = NETWORKS[config.network](dimension, config)
        level = QUANTIZERS[quantizer.name]
        self.quantizer = ResidualQuantizer(
            [level(quantizer, self.network.latent) for _ in range(quantizer.levels)]
        )
        self._seen: dict[tuple[object, ...], _Blocks] = {}

    @property
    def encoder(self) -> nn.Module:
        """Standardised vectors (n, D) → latents (n, d)."""
        return self.network.encoder

    @property
    def decoder(self) -> nn.Module:
        """Latents (n, d) → standardised vectors (n, D)."""
        return self.network.decoder

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> Tensor:
        """Compute mean and scale from training vectors (n, D), and start the network from them.

        Returns:
            The vectors, standardised.
        """
        self.mean.copy_(vectors.mean(0))
        centred = vectors - self.mean
        self.scale.copy_(centred.square().mean().sqrt().clamp(min=1e-12))
        x = centred / self.scale
        self.network.start_from(x)
        return x

    def forward(self, x: Tensor, quantize: bool = True) -> AutoencoderOutput:
        """Reconstruct standardised vectors (n, D); the warm-up sets `quantize` to False."""
        latent = self.encoder(x)
        if not quantize:
            return AutoencoderOutput(self.decoder(latent), latent, latent, latent.new_zeros(()))
        output = self.quantizer(latent)
        return AutoencoderOutput(
            self.decoder(output.quantized), latent, output.quantized, output.loss
        )

    @torch.no_grad()
    def latents(self, vectors: Tensor) -> Tensor:
        """Return the latents (n, d) of raw vectors (n, D), bit-identical in any batch."""
        return self._in_blocks("latents", self._latents, vectors)

    @torch.no_grad()
    def encode_latents(self, latents: Tensor) -> Tensor:
        """Return the codes (n, L) of latents (n, d), the same in any batch."""
        return self._in_blocks("codes", self.quantizer.encode, latents)

    @torch.no_grad()
    def encode(self, vectors: Tensor) -> Tensor:
        """Return the codes (n, L) int64 of raw vectors (n, D), the same in any batch."""
        return self.encode_latents(self.latents(vectors))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the reconstructed raw vectors (n, D) of codes (n, L), the same in any batch."""
        return self._in_blocks("decoded", self._decoded, codes)

    @torch.no_grad()
    def refill(self, vectors: Tensor) -> list[int]:
        """Put codewords that none of the training vectors (n, D) uses on their latents.

        Returns:
            As `ResidualQuantizer.refill`.
        """
        if not self.quantizer.stages[0].refills:
            return [0] * len(self.quantizer.stages)
        latents = self.latents(vectors)
        return self.quantizer.refill(latents, self.encode_latents(latents))

    @torch.no_grad()
    def mark_crowded(self, vectors: Tensor) -> int:
        """Mark the codes that several of the vectors (n, D) share; return the number of such codes.

        Items with these codes are then told apart, as `ResidualQuantizer` says.
        """
        if self.quantizer.choices == 1:
            return 0
        latents = self.latents(vectors)
        marked = self.quantizer.mark_crowded(latents, self.encode_latents(latents))
        self._seen.clear()  # coding now also computes hashes
        return marked

    def _latents(self, vectors: Tensor) -> Tensor:
        latents: Tensor = self.encoder((vectors - self.mean) / self.scale)
        return latents

    def _decoded(self, codes: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(self.quantizer.decode(codes))
        return decoded * self.scale + self.mean

    def _in_blocks(self, what: Pass, function: Function, rows: Tensor) -> Tensor:
        blocks = self._blocks(what)
        with one_thread() if blocks.alone else nullcontext():
            return blockwise(function, rows, blocks.sizes)

    def _blocks(self, what: Pass) -> _Blocks:
        """Return the blocks of a pass that give bit-identical rows; they are found once."""
        if self.training:
            return _Blocks(self._tried(what)[:1], alone=False)
        key = (what, self.mean.device, self.mean.dtype, torch.get_num_threads())
        if key not in self._seen:
            self._seen[key] = self._see(what)
        return self._seen[key]

    def _tried(self, what: Pass) -> tuple[int, ...]:
        if self.mean.device.type != "cpu":
            return (GPU_BLOCK,)
        return CODING_BLOCKS if what == "codes" else BLOCKS

    def _see(self, what: Pass) -> _Blocks:
        """Find the bit-identical block sizes on one thread, then test them on several threads."""
        sizes = self._tried(what)
        if what == "codes" and self.quantizer.extends_paths:
            sizes = sizes[:1]  # products have more rows than the block: only one size is safe
        with one_thread():
            compared = self._compared(what)
            for function, rows in compared:
                sizes = identical_block_sizes(function, rows, sizes)
        alone = any(
            differs_on_one_thread(function, rows, size)
            for function, rows in compared
            for size in sizes
        )
        return _Blocks(sizes, alone)

    def _compared(self, what: Pass) -> list[tuple[Function, Tensor]]:
        """Return the functions that decide a pass's bits, each with noise to compare them on."""
        rows = max(NOISE, self._tried(what)[0])
        noise = torch.randn(rows, self.dimension, generator=torch.Generator().manual_seed(0))
        vectors = noise.to(self.mean) * self.scale + self.mean
        if what == "latents":
            return [(self._latents, vectors)]
        latents = self.latents(vectors)
        if what == "decoded":
            return [(self._decoded, self.encode_latents(latents))]
        return self.quantizer.compared(latents)
