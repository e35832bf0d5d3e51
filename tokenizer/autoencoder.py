"""Content vector → latent → residual codes → reconstructed vector."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokenizer.config import AutoencoderConfig, QuantizerConfig
from tokenizer.networks import NETWORKS
from tokenizer.quantizers import QUANTIZERS
from tokenizer.residual import ResidualQuantizer

__all__ = ["Autoencoder", "AutoencoderOutput"]

# Rows a product: one shape each, large enough for speed, small enough for one item.
BLOCK = 64
CODING_BLOCK = 512


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
        """Return the latents (n, d) of raw vectors (n, D).

        Rows go through in blocks of one shape, the last one padded, so that a vector's latent is
        the same, bit for bit, in any batch.
        """
        return _blockwise(lambda block: self.encoder((block - self.mean) / self.scale), vectors)

    @torch.no_grad()
    def encode_latents(self, latents: Tensor) -> Tensor:
        """Return the codes (n, L) of latents (n, d), the same in any batch."""
        return _blockwise(self.quantizer.encode, latents, CODING_BLOCK)

    @torch.no_grad()
    def encode(self, vectors: Tensor) -> Tensor:
        """Return the codes (n, L) int64 of raw vectors (n, D), the same in any batch."""
        return self.encode_latents(self.latents(vectors))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the reconstructed raw vectors (n, D) of codes (n, L)."""
        return _blockwise(
            lambda block: self.decoder(self.quantizer.decode(block)) * self.scale + self.mean, codes
        )


def _blockwise(
    function: Callable[[Tensor], Tensor], rows: Tensor, block_size: int = BLOCK
) -> Tensor:
    """Apply `function` to blocks of exactly `block_size` rows, of which there is at least one."""
    padding = -len(rows) % block_size if len(rows) else block_size
    padded = torch.cat([rows, rows.new_zeros((padding, *rows.shape[1:]))]) if padding else rows
    return torch.cat([function(block) for block in torch.split(padded, block_size)])[: len(rows)]
