"""Train the prior over the codes of the training images, and measure it on held-out ones."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenizer.images.config import PriorConfig
from tokenizer.images.model.prior import Prior
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.optimizer import half_cosine
from tokenizer.training.randomness import deterministic

__all__ = ["TrainedPrior", "train_prior"]

CHUNK = 100
WARMUP = 0.05  # share of the steps in which the rate rises
LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TrainedPrior:
    """A prior in eval mode.

    Attributes:
        perplexity: exp of the mean −ln p of a code of held-out images.
        bits: mean −log₂ p of a held-out image: what its codes take after entropy coding.
        seconds: time of the training.
    """

    model: Prior
    perplexity: float
    bits: float
    seconds: float


def train_prior(
    codes: Tensor, held_out: Tensor, codebook_size: int, config: PriorConfig, seed: int
) -> TrainedPrior:
    """Train a GPT by cross-entropy on codes (n, P, L), and measure it on other images' codes.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    started = time.perf_counter()
    with deterministic(seed), freed_memory_kept():
        generator = torch.Generator().manual_seed(seed)
        model = Prior(codes.shape[1], codes.shape[2], codebook_size, config).to(codes.device)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.prior_learning_rate, betas=(0.9, 0.95), fused=True
        )
        rows = min(config.prior_batch, len(codes))
        warmup = max(1, round(WARMUP * config.prior_steps))
        for step in range(config.prior_steps):
            rate = min((step + 1) / warmup, half_cosine(step / config.prior_steps))
            for group in optimizer.param_groups:
                group["lr"] = rate * config.prior_learning_rate
            chosen = torch.randint(len(codes), (rows,), generator=generator).to(codes.device)
            loss = model.loss(codes[chosen]).mean() / model.length
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the prior's loss is {loss.item()} at step {step + 1}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
            optimizer.step()
    seconds = time.perf_counter() - started
    lost = _mean_loss(model.eval(), held_out)
    return TrainedPrior(model, math.exp(min(lost / model.length, 700)), lost / math.log(2), seconds)


@torch.no_grad()
def _mean_loss(model: Prior, codes: Tensor) -> float:
    return float(torch.cat([model.loss(part) for part in torch.split(codes, CHUNK)]).mean())
