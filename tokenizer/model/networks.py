"""Encoder and decoder networks around the residual stack, over standardised vectors."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from tokenizer.config import AutoencoderConfig

__all__ = ["NETWORKS", "Network"]


class Network(nn.Module):
    """Encoder (n, D) → (n, d) and decoder back; this base class is the identity, with d = D.

    The quantizers then work on the vectors themselves, and there is nothing to warm up.

    Attributes:
        latent: d.
    """

    def __init__(self, dimension: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.latent = dimension
        self.encoder: nn.Module = nn.Identity()
        self.decoder: nn.Module = nn.Identity()

    def start_from(self, x: Tensor) -> None:
        """Start from standardised training vectors (n, D)."""


class LinearNetwork(Network):
    """One linear map each way, started from the projection onto the d principal directions."""

    def __init__(self, dimension: int, config: AutoencoderConfig) -> None:
        super().__init__(dimension, config)
        self.latent = min(config.latent, dimension)
        self.encoder: nn.Linear = nn.Linear(dimension, self.latent)
        self.decoder: nn.Linear = nn.Linear(self.latent, dimension)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        _, directions = torch.linalg.eigh(x.T.double() @ x.double())
        principal = directions.flip(1)[:, : self.latent].to(x.dtype)
        self.encoder.weight.copy_(principal.T)
        self.decoder.weight.copy_(principal)
        self.encoder.bias.zero_()
        self.decoder.bias.zero_()


class MlpNetwork(Network):
    """An MLP with ReLU each way; the decoder mirrors the encoder."""

    def __init__(self, dimension: int, config: AutoencoderConfig) -> None:
        super().__init__(dimension, config)
        self.latent = config.latent
        widths = [dimension, *config.hidden, config.latent]
        self.encoder = _mlp(widths, config.dropout)
        self.decoder = _mlp(widths[::-1], config.dropout)


def _mlp(widths: Sequence[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths[:-1]):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


NETWORKS: dict[str, type[Network]] = {
    "identity": Network,
    "linear": LinearNetwork,
    "mlp": MlpNetwork,
}
