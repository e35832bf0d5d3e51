"""Train the autoencoder and its quantizers on item vectors."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenizer.autoencoder import Autoencoder
from tokenizer.config import TrainingConfig
from tokenizer.health import level_health, relative_error, unique_share
from tokenizer.separation import nearest_others, separation_loss

__all__ = ["Evaluation", "TrainingResult", "split_held_out", "train"]


@dataclass(frozen=True)
class Evaluation:
    """One measurement during training; errors as `tokenizer.health.relative_error`."""

    step: int
    train_error: float
    held_out_error: float
    utilization: tuple[float, ...]
    unique_share: float


@dataclass(frozen=True)
class TrainingResult:
    """The best model by held-out error, in eval mode, and how it came about."""

    model: Autoencoder
    best: Evaluation
    history: Sequence[Evaluation]
    seconds: float


def split_held_out(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return row numbers to train on and to hold out, each ascending.

    With fewer than ten rows none is held out and the training rows measure.
    """
    if count < 10:
        return torch.arange(count), torch.arange(count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = max(1, round(count * share))
    return order[held:].sort().values, order[:held].sort().values


def train(
    vectors: Tensor,
    config: TrainingConfig,
    progress: Callable[[int, Evaluation | None], None] | None = None,
) -> TrainingResult:
    """Fit a tokenizer to vectors (n, D) float32 on the CPU or a GPU.

    Warm-up without quantization, k-means on the ENCODED latents level by level, then AdamW on the
    relative reconstruction error (squared error summed over dimensions and batch, divided by that
    of the mean), the quantizers' auxiliary losses in the same unit, and the separation term. The
    model with the lowest held-out error is kept; training stops early after `patience`
    measurements without a better one.

    Args:
        progress: called after each step with its number and, where one was made, the measurement.

    Raises:
        FloatingPointError: the loss is no longer finite; the message names the step.
    """
    with _deterministic(config.seed):
        return _train(vectors, config, progress or (lambda step, measured: None))


def _train(
    vectors: Tensor, config: TrainingConfig, progress: Callable[[int, Evaluation | None], None]
) -> TrainingResult:
    started = time.perf_counter()
    generator = torch.Generator().manual_seed(config.seed)
    rows, held_rows = split_held_out(len(vectors), config.held_out, config.seed)
    training, held_out = vectors[rows], vectors[held_rows]
    model = Autoencoder(vectors.shape[1], config.autoencoder, config.quantizer).to(vectors.device)
    model.standardise_to(training)
    x = (training - model.mean) / model.scale
    neighbours = x[nearest_others(x)]
    optimizer = _optimizer(model, config)
    total = config.warmup_steps + config.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * min(step / total, 1))) / 2
    )
    history: list[Evaluation] = []
    best_state = model.state_dict()
    for step in range(1, total + 1):
        quantize = step > config.warmup_steps
        if step == config.warmup_steps + 1:
            model.quantizer.start_from(model.eval().latents(training), generator)
        model.train()
        chosen = torch.randint(len(x), (min(config.batch_size, len(x)),), generator=generator)
        loss = _loss(model, x[chosen], neighbours[chosen], quantize, config)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {step}; lower the learning rate"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        model.quantizer.after_step()
        measured = None
        if quantize and (step % config.evaluate_every == 0 or step == total):
            measured = _evaluate(model.eval(), step, training, held_out, config)
            history.append(measured)
            if _best(history) is measured:
                best_state = copy.deepcopy(model.state_dict())
        progress(step, measured)
        if history and step - _best(history).step >= config.patience * config.evaluate_every:
            break
    model.load_state_dict(best_state)
    seconds = time.perf_counter() - started
    return TrainingResult(model.eval(), _best(history), history, seconds)


def _loss(
    model: Autoencoder, batch: Tensor, neighbours: Tensor, quantize: bool, config: TrainingConfig
) -> Tensor:
    output = model(batch, quantize)
    loss: Tensor = (batch - output.reconstruction).square().mean() + output.loss / batch.shape[1]
    if quantize and config.separation:
        loss = loss + config.separation * separation_loss(
            output.latent, model.encoder(neighbours), output.quantized, config.separation_margin
        )
    return loss


def _optimizer(model: Autoencoder, config: TrainingConfig) -> torch.optim.Optimizer:
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        network = not name.startswith("quantizer.")
        (decayed if network and parameter.dim() > 1 else plain).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )


def _best(history: Sequence[Evaluation]) -> Evaluation:
    return min(history, key=lambda measured: measured.held_out_error)


def _evaluate(
    model: Autoencoder, step: int, training: Tensor, held_out: Tensor, config: TrainingConfig
) -> Evaluation:
    codes, held_codes = model.encode(training), model.encode(held_out)
    every = torch.cat([codes, held_codes])
    health = level_health(every, config.quantizer.codebook_size)
    return Evaluation(
        step=step,
        train_error=relative_error(training, model.decode(codes), model.mean),
        held_out_error=relative_error(held_out, model.decode(held_codes), model.mean),
        utilization=tuple(level.utilization for level in health),
        unique_share=unique_share(every),
    )


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Draw from `seed` and sum in one order, and leave torch's global state as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
