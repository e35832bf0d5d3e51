"""Content vector → latent → residual codes → reconstructed vector."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from data_prep.batch_invariance import alike, blockwise
from tokenizer.config import AutoencoderConfig, QuantizerConfig
from tokenizer.model.networks import NETWORKS
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import QUANTIZERS

__all__ = ["Autoencoder", "AutoencoderOutput"]

# Rows a product: large enough for speed, and smaller for the last few where that changes nothing.
BLOCKS = (64, 32, 16, 8)
CODING_BLOCKS = (512, 128, 32, 8)
NOISE = 512  # rows on which sizes are compared
GPU_BLOCK = 4096  # rows of every pass on a GPU, which has one shape
Pass = Literal["latents", "codes", "decoded"]


@dataclass
class AutoencoderOutput:
    """One training pass.

    Attributes:
        reconstruction: (n, D), in standardised units.
        latent: (n, d).
        quantized: (n, d); the latent itself where nothing was quantized.
        loss: the quantizers' auxiliary loss.
    """

    reconstruction: Tensor
    latent: Tensor
    quantized: Tensor
    loss: Tensor


class Autoencoder(nn.Module):
    """Encoder, residual stack, decoder, over standardised vectors.

    Standardised means centred, then divided by one scalar, so that directions and relative
    distances stay: (x − mean) / scale with scale² the mean square of a centred component.

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
        self._sizes: dict[tuple[object, ...], tuple[int, ...]] = {}

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
        """Take mean and scale from training vectors (n, D), start the network from them.

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
        """Reconstruct standardised vectors (n, D); without quantization in the warm-up."""
        latent = self.encoder(x)
        if not quantize:
            return AutoencoderOutput(self.decoder(latent), latent, latent, latent.new_zeros(()))
        output = self.quantizer(latent)
        return AutoencoderOutput(
            self.decoder(output.quantized), latent, output.quantized, output.loss
        )

    @torch.no_grad()
    def latents(self, vectors: Tensor) -> Tensor:
        """Return the latents (n, d) of raw vectors (n, D), the same, bit for bit, in any batch."""
        return blockwise(self._latents, vectors, self._blocks("latents"))

    @torch.no_grad()
    def encode_latents(self, latents: Tensor) -> Tensor:
        """Return the codes (n, L) of latents (n, d), the same in any batch."""
        return blockwise(self.quantizer.encode, latents, self._blocks("codes"))

    @torch.no_grad()
    def encode(self, vectors: Tensor) -> Tensor:
        """Return the codes (n, L) int64 of raw vectors (n, D), the same in any batch."""
        return self.encode_latents(self.latents(vectors))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the reconstructed raw vectors (n, D) of codes (n, L), the same in any batch."""
        return blockwise(self._decoded, codes, self._blocks("decoded"))

    def _latents(self, vectors: Tensor) -> Tensor:
        latents: Tensor = self.encoder((vectors - self.mean) / self.scale)
        return latents

    def _decoded(self, codes: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(self.quantizer.decode(codes))
        return decoded * self.scale + self.mean

    def _blocks(self, what: Pass) -> tuple[int, ...]:
        """Return the sizes of blocks that give a row the same bits on this machine, seen once."""
        if self.training:
            return self._tried(what)[:1]
        key = (what, self.mean.device, self.mean.dtype, torch.get_num_threads())
        if key not in self._sizes:
            self._sizes[key] = self._alike(what)
        return self._sizes[key]

    def _tried(self, what: Pass) -> tuple[int, ...]:
        if self.mean.device.type != "cpu":
            return (GPU_BLOCK,)
        return CODING_BLOCKS if what == "codes" else BLOCKS

    def _alike(self, what: Pass) -> tuple[int, ...]:
        sizes = self._tried(what)
        noise = torch.randn(
            max(NOISE, sizes[0]), self.dimension, generator=torch.Generator().manual_seed(0)
        )
        vectors = noise.to(self.mean) * self.scale + self.mean
        if what == "latents":
            return alike(self._latents, vectors, sizes)
        latents = self.latents(vectors)
        if what == "decoded":
            return alike(self._decoded, self.encode_latents(latents), sizes)
        # A beam's products have more rows than its block.
        sizes = sizes if self.quantizer.beam == 1 else sizes[:1]
        for level in self.quantizer.stages:
            sizes = alike(level.compared, latents, sizes)
        return sizes
