"""Image → grid of latents → codes at each position → image."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from tokenizer.images.config import ImageConfig, ImageNetworkConfig
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import QUANTIZERS

__all__ = ["ImageAutoencoder", "ImageOutput", "halvings"]

GROUPS = 8  # of group normalisation


@dataclass
class ImageOutput:
    """The result of one training pass.

    Attributes:
        reconstruction: (n, 3, side, side), in −1…1 but for overshoots.
        loss: the quantizer's auxiliary loss, in squared distance; 0 without quantization.
    """

    reconstruction: Tensor
    loss: Tensor


class ResidualBlock(nn.Module):
    """x + conv(conv(x)), each convolution after group normalisation and SiLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(GROUPS, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = nn.GroupNorm(GROUPS, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, c, h, w) for (n, c, h, w)."""
        y = self.first(functional.silu(self.first_norm(x)))
        result: Tensor = x + self.second(functional.silu(self.second_norm(y)))
        return result


class ImageAutoencoder(nn.Module):
    """Residual blocks between strided convolutions down to a grid; the decoder mirrors them.

    A residual stack of one of our quantizers codes the latent of each grid position.
    """

    def __init__(self, side: int, config: ImageConfig) -> None:
        super().__init__()
        network = config.network
        self.grid = network.grid
        widths = [network.channels << i for i in range(halvings(side, network))]
        self.encoder = _encoder(widths, network)
        self.decoder = _decoder(widths, network)
        level = QUANTIZERS[config.quantizer.name]
        self.quantizer = ResidualQuantizer(
            [level(config.quantizer, network.latent) for _ in range(config.quantizer.levels)]
        )

    def forward(self, x: Tensor, quantize: bool = True) -> ImageOutput:
        """Reconstruct images (n, 3, side, side) in −1…1; the warm-up sets `quantize` to False."""
        z = self.latents(x)
        if not quantize:
            return ImageOutput(self.decoded(z), z.new_zeros(()))
        output = self.quantizer(z)
        return ImageOutput(self.decoded(output.quantized), output.loss)

    def latents(self, x: Tensor) -> Tensor:
        """Return the latents (n · grid², d) of images, position by position in raster order."""
        z: Tensor = self.encoder(x)
        return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])

    def decoded(self, latents: Tensor) -> Tensor:
        """Return the images (n, 3, side, side) of latents (n · grid², d)."""
        z = latents.view(-1, self.grid, self.grid, latents.shape[1]).permute(0, 3, 1, 2)
        result: Tensor = self.decoder(z.contiguous())
        return result

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (n, grid², L) of images."""
        codes = self.quantizer.encode(self.latents(x))
        return codes.view(len(x), self.grid**2, -1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return the images of codes (n, grid², L), or of the codes of the first levels alone."""
        return self.decoded(self.quantizer.decode(codes.flatten(0, 1)))


def halvings(side: int, network: ImageNetworkConfig) -> int:
    """Return how often an image's side is halved down to the grid.

    Raises:
        InputError: the side is no multiple of the grid by a power of two from 2 on.
    """
    ratio, rest = divmod(side, network.grid)
    if rest or ratio < 2 or ratio & (ratio - 1):
        fit = [side >> i for i in range(1, side.bit_length()) if side % (1 << i) == 0]
        told = ", ".join(map(str, fit)) if fit else "none; choose an even --size"
        raise InputError(
            f"grid {network.grid} does not divide images of {side} × {side} by a power of two; "
            f"grids that do: {told}"
        )
    return ratio.bit_length() - 1


def _encoder(widths: list[int], network: ImageNetworkConfig) -> nn.Sequential:
    parts: list[nn.Module] = []
    before = 3
    for width in widths:
        parts.append(nn.Conv2d(before, width, 4, stride=2, padding=1))
        parts += [ResidualBlock(width) for _ in range(network.blocks)]
        before = width
    parts += [nn.GroupNorm(GROUPS, before), nn.SiLU(), nn.Conv2d(before, network.latent, 1)]
    return nn.Sequential(*parts)


def _decoder(widths: list[int], network: ImageNetworkConfig) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(network.latent, widths[-1], 1)]
    for width, after in zip(widths[::-1], [*widths[-2::-1], 3], strict=True):
        parts += [ResidualBlock(width) for _ in range(network.blocks)]
        parts += [nn.GroupNorm(GROUPS, width), nn.SiLU()]
        parts.append(nn.ConvTranspose2d(width, after, 4, stride=2, padding=1))
    return nn.Sequential(*parts)
