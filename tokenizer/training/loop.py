"""Train the autoencoder and its quantizers on item vectors."""

import copy
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from tokenizer.config import FitConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.training.checkpoint import (
    load_checkpoint,
    module_state,
    restore_module,
    save_checkpoint,
)
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.monitor import CodingQuality, Event, EventLog, evaluate, not_finite
from tokenizer.training.optimizer import adamw, half_cosine
from tokenizer.training.randomness import deterministic, random_state, restore_random_state
from tokenizer.training.separation import nearest_others, separation_loss
from tokenizer.training.split import split_rows

__all__ = ["TrainedTokenizer", "train", "training_loss"]

NOTHING = 5e-4  # of the vectors' variance: an error below it is shown as 0.000
REFILLS = 3  # a codeword put on an item can leave another one without items


@dataclass(frozen=True)
class TrainedTokenizer:
    """The model with the lowest validation error, in eval mode, with the history of its training.

    Attributes:
        warmup_steps: number of steps made without quantization.
    """

    model: Autoencoder
    best: CodingQuality
    history: Sequence[CodingQuality]
    events: Sequence[Event]
    seconds: float
    warmup_steps: int


def train(
    vectors: Tensor,
    config: FitConfig,
    progress: Callable[[int, CodingQuality | None], None] | None = None,
    checkpoint: Path | None = None,
) -> TrainedTokenizer:
    """Fit a tokenizer to vectors (n, D) float32 on the CPU or a GPU.

    The training has three parts: a warm-up without quantization; k-means on the ENCODED latents,
    level by level; then AdamW. AdamW's loss is the relative reconstruction error (squared error
    summed over dimensions and batch, divided by that of the mean), plus the quantizers' auxiliary
    losses in the same unit, plus the separation term. The model with the lowest validation error is
    kept; the model right after k-means is a candidate too. Training stops early after `patience`
    measurements without a lower error, or when the error is below `NOTHING`. If nothing can be
    learnt (fixed codebooks without a network around them), the start of the codebooks is the whole
    training.

    Args:
        progress: called after each step with its number and its measurement; None if the step has
            none.
        checkpoint: a file that keeps the state at each measurement, and as often in the warm-up. A
            later training of the same vectors and configuration resumes from it, with the same
            result.

    Raises:
        FloatingPointError: the loss or a measurement is no longer finite; the message names the
            step, the layer, and the checkpoint.
    """
    with deterministic(config.seed), freed_memory_kept():
        started = time.perf_counter()
        run = _Run(vectors, config, checkpoint)
        for step in range(run.done + 1, run.total + 1):
            measured = run.step(step)
            if progress is not None:
                progress(step, measured)
            if step > run.warmup and run.gains_no_more(step):
                break
        run.model.load_state_dict(run.best_state)
        seconds = run.seconds_before + time.perf_counter() - started
        return TrainedTokenizer(
            run.model.eval(), run.best, run.history, run.log.events, seconds, run.warmup
        )


class _Run:
    """One training: model, optimizer, random state and log; a checkpoint holds all of them."""

    def __init__(self, vectors: Tensor, config: FitConfig, checkpoint: Path | None) -> None:
        self.vectors, self.config, self.checkpoint = vectors, config, checkpoint
        self.started = time.perf_counter()
        self.generator = torch.Generator().manual_seed(config.seed)
        self.split = split_rows(len(vectors), config.held_out, config.seed)
        self.training = vectors[self.split.training]
        self.model = Autoencoder(vectors.shape[1], config.autoencoder, config.quantizer)
        self.model.to(vectors.device)
        self.x = self.model.start_from(self.training)
        encodes = any(True for _ in self.model.encoder.parameters())
        near = encodes or config.mixing
        self.neighbours = self.x[nearest_others(self.x)] if near else self.x
        self.warmup = config.warmup_steps if encodes else 0
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        follows = any(level.follows for level in self.model.quantizer.stages)
        self.total = self.warmup + config.steps if learnt or follows else 0
        self.optimizer = adamw(self.model, config) if learnt else None
        self.history: list[CodingQuality] = []
        self.best_state: dict[str, Tensor] = {}
        size = config.quantizer.codebook_size
        self.log = EventLog(min(1.0, len(vectors) / size))
        self.done, self.seconds_before = 0, 0.0
        self._restore()
        if not self.warmup and not self.history:
            self._start_quantizing()

    @property
    def best(self) -> CodingQuality:
        """The measurement with the lowest validation error."""
        return min(self.history, key=lambda measured: measured.validation_error)

    def gains_no_more(self, step: int) -> bool:
        """Return whether the error is nothing, or has not fallen for `patience` measurements."""
        waited = step - self.best.step
        nothing = self.best.validation_error < NOTHING and step == self.history[-1].step
        return nothing or waited >= self.config.patience * self.config.evaluate_every

    def step(self, step: int) -> CodingQuality | None:
        """Make step number `step`; return its measurement, None if it has none."""
        rows = min(self.config.batch_size, len(self.x))
        chosen = torch.randint(len(self.x), (rows,), generator=self.generator)
        try:
            return self._step(step, chosen)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined] # of what is not finite
            self._stop(step, "there is no loss", self.x[chosen])

    def _step(self, step: int, chosen: Tensor) -> CodingQuality | None:
        config, model = self.config, self.model.train()
        quantize = step > self.warmup
        loss = training_loss(model, self.x[chosen], self.neighbours[chosen], quantize, config)
        if not torch.isfinite(loss):
            self._stop(step, f"the loss is {loss.item()}", self.x[chosen])
        if self.optimizer is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * half_cosine((step - 1) / self.total)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._check_gradients(step, chosen)
            self.optimizer.step()
        if not quantize:
            if step == self.warmup:
                self._start_quantizing()
            elif not step % config.evaluate_every:
                self.done = step
                self._keep()
            return None
        self.log.after_step(model.quantizer.after_step(step / self.total))
        if step % config.evaluate_every and step != self.total:
            return None
        return self._measure(step)

    def _check_gradients(self, step: int, chosen: Tensor) -> None:
        """Raise an error if a gradient is not finite, before the optimizer applies it."""
        named = [(n, p.grad) for n, p in self.model.named_parameters() if p.grad is not None]
        if torch.isfinite(torch.nn.utils.get_total_norm([gradient for _, gradient in named])):
            return
        for name, gradient in named:
            if not torch.isfinite(gradient).all():
                self._stop(step, f"the gradient of {name} is not finite", self.x[chosen])

    def _start_quantizing(self) -> None:
        latents = self.model.eval().latents(self.training)
        if not torch.isfinite(latents).all():
            self._stop(self.warmup, "latents are not finite", self.x[: self.config.batch_size])
        self.model.quantizer.start_from(latents, self.generator)
        self._measure(self.warmup)

    def _measure(self, step: int) -> CodingQuality:
        for _ in range(REFILLS):
            moved = self.model.eval().refill(self.training)
            self.log.refilled(moved)
            if not any(moved):
                break
        measured = evaluate(self.model.eval(), step, self.vectors, self.split)
        if not measured.finite:
            self._stop(step, "a measurement is not finite", self.x[: self.config.batch_size])
        self.history.append(measured)
        self.log.measured(measured)
        if self.best is measured:
            self.best_state = copy.deepcopy(self.model.state_dict())
        self.done = step
        self._keep()
        return measured

    def _stop(self, step: int, what: str, batch: Tensor) -> NoReturn:
        kept = "no checkpoint was made"
        if self.checkpoint is not None and (self.done or self.history):
            kept = f"the last good checkpoint, of step {self.done}, is {self.checkpoint}"
        raise FloatingPointError(
            f"{what} at step {step}; the first that is not finite is "
            f"{not_finite(self.model, batch)}; {kept}; lower the learning rate"
        )

    def _key(self) -> str:
        digest = hashlib.sha256(
            repr((self.config, torch.__version__, str(self.vectors.device))).encode()
        )
        digest.update(self.vectors.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _keep(self) -> None:
        if self.checkpoint is None or not self.total:
            return
        state = {
            "done": self.done,
            "seconds": self.seconds_before + time.perf_counter() - self.started,
            "model": module_state(self.model),
            "best": self.best_state,
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "random": random_state(self.generator, self.vectors.device),
            "history": [asdict(measured) for measured in self.history],
            "events": [asdict(event) for event in self.log.events],
        }
        save_checkpoint(self.checkpoint, self._key(), state)

    def _restore(self) -> None:
        if self.checkpoint is None or not self.total:
            return
        state = load_checkpoint(self.checkpoint, self._key())
        if state is None:
            return
        self.done, self.seconds_before = state["done"], state["seconds"]
        restore_module(self.model, state["model"])
        self.best_state = state["best"]
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        restore_random_state(state["random"], self.generator, self.vectors.device)
        self.history = [CodingQuality(**measured) for measured in state["history"]]
        self.log.events = [Event(**event) for event in state["events"]]


def training_loss(
    model: Autoencoder, batch: Tensor, neighbours: Tensor, quantize: bool, config: FitConfig
) -> Tensor:
    """Return the training loss, a scalar, of standardised rows (n, D) and their neighbours.

    The loss is ‖x − x̂‖² / D + auxiliary / D, both averaged over the batch, plus the weighted
    separation term. Without quantization it is the first term alone.
    """
    if config.mixing:
        share = config.mixing * torch.rand(len(batch), 1, device=batch.device)
        batch = torch.lerp(batch, neighbours, share)
    output = model(batch, quantize)
    loss: Tensor = (batch - output.reconstruction).square().mean() + output.loss / batch.shape[1]
    if quantize and config.separation and output.latent.requires_grad:
        loss = loss + config.separation * separation_loss(
            output.latent, model.encoder(neighbours), output.quantized, config.separation_margin
        )
    return loss
