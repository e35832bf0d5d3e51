"""TIGER (arXiv 2305.05065): an encoder–decoder that predicts the next item's tokens one by one.

The network is T5's (arXiv 1910.10683): RMS norms before each block, relative position biases that
all layers of a stack share, attention without scaling, ReLU, tied embeddings.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.generation.valid_ids.vocabulary import PADDING

__all__ = ["Tiger", "TigerConfig", "TigerState"]


@dataclass(frozen=True)
class TigerConfig:
    """The shape of a TIGER.

    Attributes:
        width: d_model.
        heads, head_width: of every attention.
        hidden: hidden width of the feed-forward blocks.
        layers: of the encoder, and of the decoder.
        dropout: of embeddings, attention and blocks.
        buckets: how many buckets relative positions fall into.
        farthest: the distance from which on all positions share a bucket.
    """

    width: int = 128
    heads: int = 6
    head_width: int = 64
    hidden: int = 1024
    layers: int = 4
    dropout: float = 0.1
    buckets: int = 32
    farthest: int = 128


@dataclass
class TigerState:
    """The cache of decoding for a batch of n users with b beams each.

    Attributes:
        keys, values: of the cross-attention, one pair a layer, (n, heads, s, head_width). All beams
            of a user share them.
        mask: (n, 1, 1, s), 0 at history tokens and −∞ at padding.
        own_keys, own_values: of the tokens decoded so far, one pair a layer,
            (n, b, heads, t, head_width).
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor
    own_keys: list[Tensor]
    own_values: list[Tensor]


class Tiger(nn.Module):
    """History tokens → logits of the next item's tokens.

    The padding token is also the first input of the decoder.

    Args:
        vocabulary: how many tokens there are, including special ones.
    """

    def __init__(self, config: TigerConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.width)
        self.encoder = nn.ModuleList(_Layer(config, cross=False) for _ in range(config.layers))
        self.decoder = nn.ModuleList(_Layer(config, cross=True) for _ in range(config.layers))
        self.encoder_bias = _PositionBias(config, both_ways=True)
        self.decoder_bias = _PositionBias(config, both_ways=False)
        self.encoder_norm = _RmsNorm(config.width)
        self.decoder_norm = _RmsNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.apply(_initialise)

    def forward(self, history: Tensor, target: Tensor) -> Tensor:
        """Return the logits (n, t, vocabulary) of target tokens, each given those before it.

        Args:
            history: (n, s) tokens, padded.
            target: (n, t) tokens of the next item.
        """
        encoded, mask = self.encode(history)
        shifted = functional.pad(target[:, :-1], (1, 0), value=PADDING)
        x = self.dropout(self.embedding(shifted))
        length = x.shape[1]
        ahead = torch.full((length, length), -math.inf, device=x.device, dtype=x.dtype).triu(1)
        bias = self.decoder_bias(length, length) + ahead
        for layer in self.decoder:
            x = layer(x, bias, encoded, mask)
        return self.logits(x)

    def loss(self, history: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy of the target's tokens."""
        logits = self(history, target)
        return functional.cross_entropy(logits.flatten(0, 1).float(), target.flatten())

    def encode(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoded history (n, s, width) and its mask (n, 1, 1, s)."""
        x = self.dropout(self.embedding(history))
        nothing = (history == PADDING)[:, None, None, :]
        mask = torch.zeros_like(nothing, dtype=x.dtype).masked_fill(nothing, -math.inf)
        length = x.shape[1]
        bias = self.encoder_bias(length, length) + mask
        for layer in self.encoder:
            x = layer(x, bias)
        return self.dropout(self.encoder_norm(x)), mask

    def logits(self, x: Tensor) -> Tensor:
        """Return logits (…, vocabulary) of the decoder's output (…, width)."""
        x = self.dropout(self.decoder_norm(x)) * self.config.width**-0.5
        return functional.linear(x, self.embedding.weight)

    @torch.no_grad()
    def start(self, history: Tensor) -> TigerState:
        """Encode histories (n, s) and return the state before the first decoding step."""
        encoded, mask = self.encode(history)
        layers = cast("list[_Layer]", list(self.decoder))
        pairs = [layer.cross_attention.keys_and_values(encoded) for layer in layers]
        return TigerState([k for k, _ in pairs], [v for _, v in pairs], mask, [], [])

    @torch.no_grad()
    def step(self, state: TigerState, tokens: Tensor | None, parents: Tensor | None) -> Tensor:
        """Return the logits (n, b, vocabulary) of what follows `tokens`, and extend the state.

        Args:
            tokens: (n, b), the last token of each beam; None at the first step, with one beam.
            parents: (n, b), the beam of the previous step that each beam continues; None at the
                first step.
        """
        if tokens is None:
            tokens = torch.full((len(state.mask), 1), PADDING, device=state.mask.device)
        x = self.embedding(tokens)
        if parents is not None:
            for kept in (state.own_keys, state.own_values):
                kept[:] = [_of_parents(tensor, parents) for tensor in kept]
        past = state.own_keys[0].shape[3] if state.own_keys else 0
        bias = self.decoder_bias(1, past + 1, offset=past)
        for index, layer in enumerate(cast("list[_Layer]", list(self.decoder))):
            x = layer.step(x, index, state, bias)
        return self.logits(x)


class _Layer(nn.Module):
    """Self-attention, cross-attention (in a decoder) and feed-forward; each adds to its input."""

    def __init__(self, config: TigerConfig, cross: bool) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.attention_norm = _RmsNorm(config.width)
        if cross:
            self.cross_attention = _Attention(config)
            self.cross_norm = _RmsNorm(config.width)
        self.inner = nn.Linear(config.width, config.hidden, bias=False)
        self.outer = nn.Linear(config.hidden, config.width, bias=False)
        self.forward_norm = _RmsNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, bias: Tensor, encoded: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), bias))
        if encoded is not None:
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), mask, encoded))
        out: Tensor = x + self.dropout(self.feed_forward(self.forward_norm(x)))
        return out

    def feed_forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.outer(self.dropout(self.inner(x).relu()))
        return out

    def step(self, x: Tensor, index: int, state: TigerState, bias: Tensor) -> Tensor:
        """Process one further token of each beam, x (n, b, width)."""
        users, beams, _ = x.shape
        query, key, value = self.attention.project(self.attention_norm(x))
        key, value = (part.transpose(1, 2).unsqueeze(3) for part in (key, value))
        if index < len(state.own_keys):
            key = torch.cat([state.own_keys[index], key], dim=3)
            value = torch.cat([state.own_values[index], value], dim=3)
            state.own_keys[index], state.own_values[index] = key, value
        else:
            state.own_keys.append(key)
            state.own_values.append(value)
        seen = functional.scaled_dot_product_attention(
            query.transpose(1, 2).flatten(0, 1).unsqueeze(2),
            key.flatten(0, 1),
            value.flatten(0, 1),
            attn_mask=bias,
            scale=1.0,
        )
        x = x + self.attention.output(seen.view(users, beams, -1))
        query = self.cross_attention.queries(self.cross_norm(x))
        seen = functional.scaled_dot_product_attention(
            query, state.keys[index], state.values[index], attn_mask=state.mask, scale=1.0
        )
        x = x + self.cross_attention.merge(seen)
        return x + self.feed_forward(self.forward_norm(x))


class _Attention(nn.Module):
    """Attention; one matrix makes queries, keys and values, in this order."""

    def __init__(self, config: TigerConfig) -> None:
        super().__init__()
        self.heads, self.head_width, self.width = config.heads, config.head_width, config.width
        self.inner = config.heads * config.head_width
        self.into = nn.Linear(config.width, 3 * self.inner, bias=False)
        self.output = nn.Linear(self.inner, config.width, bias=False)
        self.dropout = config.dropout

    def forward(self, x: Tensor, bias: Tensor | None, context: Tensor | None = None) -> Tensor:
        """Attend to `context`, or to `x` itself where None."""
        parts = (
            self.project(x)
            if context is None
            else (self.queries(x), *self.keys_and_values(context))
        )
        seen = functional.scaled_dot_product_attention(
            *parts,
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
            scale=1.0,
        )
        return self.merge(seen)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (self.split(part) for part in self.into(x).chunk(3, dim=-1))
        return query, key, value

    def queries(self, x: Tensor) -> Tensor:
        return self.split(functional.linear(x, self.into.weight[: self.inner]))

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        both = functional.linear(x, self.into.weight[self.inner :])
        key, value = (self.split(part) for part in both.chunk(2, dim=-1))
        return key, value

    def split(self, x: Tensor) -> Tensor:
        """(n, t, heads · head_width) → (n, heads, t, head_width)."""
        return x.view(*x.shape[:2], self.heads, self.head_width).transpose(1, 2)

    def merge(self, x: Tensor) -> Tensor:
        """(n, heads, t, head_width) → (n, t, width)."""
        merged: Tensor = self.output(x.transpose(1, 2).flatten(2))
        return merged


class _PositionBias(nn.Module):
    """A learnt bias for each head and each bucket of (key position − query position)."""

    def __init__(self, config: TigerConfig, both_ways: bool) -> None:
        super().__init__()
        self.buckets, self.farthest, self.both_ways = config.buckets, config.farthest, both_ways
        self.width = config.width
        self.table = nn.Embedding(config.buckets, config.heads)

    def forward(self, queries: int, keys: int, offset: int = 0) -> Tensor:
        """Return (1, heads, queries, keys); the first query is at position `offset`."""
        device = self.table.weight.device
        at = torch.arange(offset, offset + queries, device=device)
        relative = torch.arange(keys, device=device)[None, :] - at[:, None]
        bias: Tensor = self.table(self._bucket(relative))
        return bias.permute(2, 0, 1).unsqueeze(0)

    def _bucket(self, relative: Tensor) -> Tensor:
        """Return buckets: half hold one distance each, the others grow exponentially."""
        buckets = self.buckets
        base = torch.zeros_like(relative)
        if self.both_ways:
            buckets //= 2
            base = (relative > 0) * buckets
            distance = relative.abs()
        else:
            distance = (-relative).clamp(min=0)
        single = buckets // 2
        growth = torch.log(distance.clamp(min=1).float() / single) / math.log(
            self.farthest / single
        )
        far = (single + (growth * (buckets - single)).long()).clamp(max=buckets - 1)
        return base + torch.where(distance < single, distance, far)


class _RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, eps=1e-6)


def _of_parents(kept: Tensor, parents: Tensor) -> Tensor:
    """Return the cached rows (n, b, …) of each beam's parent."""
    index = parents[(...,) + (None,) * (kept.dim() - 2)].expand(-1, -1, *kept.shape[2:])
    return kept.gather(1, index)


def _initialise(module: nn.Module) -> None:
    """Draw first weights as T5 does: normal, with deviations that depend on the widths."""
    if isinstance(module, _Attention):
        nn.init.normal_(module.into.weight, std=module.width**-0.5)
        with torch.no_grad():
            module.into.weight[: module.inner] *= module.head_width**-0.5
        nn.init.normal_(module.output.weight, std=module.inner**-0.5)
    elif isinstance(module, _Layer):
        nn.init.normal_(module.inner.weight, std=module.inner.in_features**-0.5)
        nn.init.normal_(module.outer.weight, std=module.outer.in_features**-0.5)
    elif isinstance(module, _PositionBias):
        nn.init.normal_(module.table.weight, std=module.width**-0.5)
