"""A small GPT over a grid's codes in raster order, the levels of a position one after the other."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.images.config import PriorConfig

__all__ = ["Prior"]

Cache = list[tuple[Tensor, Tensor]]  # each layer's keys and values, (n, heads, t, w)


class Block(nn.Module):
    """Causal self-attention and an MLP, each after layer normalisation, with residuals."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, x: Tensor, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (n, t, w), and the keys and values of these and earlier positions.

        Args:
            before: those of earlier positions; then t is 1.
        """
        count, length, width = x.shape
        parts = self.projections(self.first_norm(x)).view(count, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if before is not None:
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=before is None)
        x = x + self.joined(seen.transpose(1, 2).reshape(count, length, width))
        return x + self.mlp(self.second_norm(x)), (key, value)


class Prior(nn.Module):
    """GPT over sequences of P · L codes; each level has its own embeddings, tied to its logits.

    Attributes:
        levels: L.
        tokens: (L, K, w), the embeddings.
        places: (P · L, w), one embedding for each place in the sequence.
        start: (w,), what stands before the first code.
    """

    def __init__(
        self, positions: int, levels: int, codebook_size: int, config: PriorConfig
    ) -> None:
        super().__init__()
        width = config.prior_width
        self.levels, self.length = levels, positions * levels
        self.codebook_size = codebook_size
        self.tokens = nn.Parameter(torch.randn(levels, codebook_size, width) * 0.02)
        self.places = nn.Parameter(torch.randn(self.length, width) * 0.02)
        self.start = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(
            Block(width, config.prior_heads) for _ in range(config.prior_layers)
        )
        self.norm = nn.LayerNorm(width)

    def loss(self, codes: Tensor) -> Tensor:
        """Return −ln p (n,) of codes (n, P, L), summed over all of an image's codes."""
        sequence = codes.flatten(1)
        embedded = self._embedded(sequence[:, :-1])
        start = self.start.expand(len(codes), 1, -1)
        hidden, _ = self._hidden(torch.cat([start, embedded], 1) + self.places, None)
        losses = sequence.new_zeros(len(codes), dtype=torch.float32)
        for level in range(self.levels):
            logits = hidden[:, level :: self.levels] @ self.tokens[level].T
            wanted = sequence[:, level :: self.levels]
            found = functional.cross_entropy(
                logits.flatten(0, 1), wanted.flatten(), reduction="none"
            )
            losses = losses + found.view(len(codes), -1).sum(1)
        return losses

    @torch.no_grad()
    def sample(self, count: int, config: PriorConfig, generator: torch.Generator) -> Tensor:
        """Draw codes (count, P, L).

        The noise of an image depends on the generator, `count` and K only, so that priors of
        different quantizers draw with the same noise.

        Args:
            generator: on the parameters' device.
        """
        device = self.start.device
        x = self.start.expand(count, 1, -1)
        cache: Cache | None = None
        drawn: list[Tensor] = []
        for place in range(self.length):
            hidden, cache = self._hidden(x + self.places[place], cache)
            level = place % self.levels
            logits = hidden[:, 0] @ self.tokens[level].T
            noise = torch.rand(logits.shape, generator=generator, device=device)
            gumbel = -(-noise.clamp(min=1e-20).log()).clamp(min=1e-20).log()
            codes = (kept_logits(logits, config) + gumbel).argmax(1)
            drawn.append(codes)
            x = self.tokens[level][codes].unsqueeze(1)
        return torch.stack(drawn, 1).view(count, -1, self.levels)

    def _embedded(self, sequence: Tensor) -> Tensor:
        """Return the embeddings (n, t, w) of the first t codes of sequences."""
        levels = torch.arange(sequence.shape[1], device=sequence.device) % self.levels
        return functional.embedding(
            sequence + levels * self.codebook_size, self.tokens.flatten(0, 1)
        )

    def _hidden(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        following: Cache = []
        for index, block in enumerate(self.blocks):
            x, kept = block(x, None if cache is None else cache[index])
            following.append(kept)
        return self.norm(x), following


def kept_logits(logits: Tensor, config: PriorConfig) -> Tensor:
    """Return logits (n, K) over the temperature, −∞ for what top-k and top-p leave out."""
    logits = logits / config.temperature
    if 0 < config.sample_top_k < logits.shape[1]:
        least = logits.topk(config.sample_top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if config.sample_top_p < 1:
        ordered, order = logits.softmax(1).sort(1, descending=True)
        # A code goes if the likelier codes before it already have the probability.
        gone = ordered.cumsum(1) - ordered >= config.sample_top_p
        logits = logits.masked_fill(gone.gather(1, order.argsort(1)), -torch.inf)
    return logits
