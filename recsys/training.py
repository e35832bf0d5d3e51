"""Train a model of next items, and keep its best state by full ranking of the validation items."""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import torch
from torch import Tensor, nn

from data_prep.errors import InputError
from recsys.dataset import SequenceDataset
from recsys.evaluation import Protocol
from recsys.next_item_model import NextItemModel
from tokenizer.checkpoint import load_checkpoint, module_state, save_checkpoint
from tokenizer.randomness import deterministic, random_state, restore_random_state
from tokenizer.training import half_cosine

__all__ = ["Measurement", "TrainingConfig", "TrainingResult", "train"]

SCHEDULES = ("constant", "cosine")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast.

    Attributes:
        epochs: at most so many passes over the training examples.
        batch_size: examples a step.
        learning_rate: peak of AdamW.
        schedule: of the learning rate after the warm-up: `constant`, or `cosine` down to zero at
            the last epoch.
        warmup_steps: steps in which the learning rate rises from zero along a line.
        weight_decay: of AdamW, on the matrices of linear layers; embeddings have none.
        evaluate_every: epochs between two measurements.
        patience: measurements without a better one before training stops.
        monitor: the metric that chooses the best, higher is better.
        protocol: which items it ranks, a name of `recsys.evaluation.PROTOCOLS`.
        precision: of the matrix products in training, `fp32` or `bf16`; weights, losses and the
            ranking stay float32.
        seed: of every random choice.
    """

    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    evaluate_every: int = 1
    patience: int = 5
    monitor: str = "ndcg@10"
    protocol: Protocol = "all"
    precision: str = "fp32"
    seed: int = 0

    def check(self) -> None:
        """Refuse a schedule or precision that there is not.

        Raises:
            InputError: names it, and those to choose from.
        """
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if (given := getattr(self, name)) not in known:
                raise InputError(f"{name} {given!r}; choose from {', '.join(known)}")


@dataclass(frozen=True)
class Measurement:
    """One line of metrics.jsonl.

    Attributes:
        train_loss: mean over the steps since the measurement before.
        validation: metrics by protocol, as `recsys.evaluation.Evaluation.metrics`.
        seconds: since the start, those before a resume included.
    """

    epoch: int
    step: int
    train_loss: float
    learning_rate: float
    validation: dict[Protocol, dict[str, float]]
    seconds: float


M = TypeVar("M", bound=NextItemModel)


@dataclass(frozen=True)
class TrainingResult(Generic[M]):
    """The best model by validation, in eval mode, and how it came about."""

    model: M
    best: Measurement
    history: tuple[Measurement, ...]


def train(
    build: Callable[[], M],
    dataset: SequenceDataset,
    config: TrainingConfig,
    folder: Path | None = None,
    progress: Callable[[int, int, Measurement | None], None] | None = None,
) -> TrainingResult[M]:
    """Fit the model that `build` makes, which draws its first weights from the configured seed.

    Each epoch deals all training examples anew. After every `evaluate_every` epochs each user's
    validation item is ranked among all items; the state with the best `monitor` is kept.

    Args:
        folder: for metrics.jsonl and checkpoint.pt, written at each measurement. A training of the
            same data, model and configuration that finds the checkpoint goes on there, with the
            same result.
        progress: called after each step with its number, the most steps there can be, and the
            measurement where one was made.

    Raises:
        InputError: an unknown schedule, precision or metric, or nothing to train on.
        FloatingPointError: the loss is no longer finite.
    """
    config.check()
    with deterministic(config.seed):
        run = _Run(build(), dataset, config, folder)
        while run.epoch < config.epochs and not run.exhausted:
            run.train_epoch(progress or (lambda step, total, measured: None))
        run.model.load_state_dict(run.best_state)
        run.model.eval()
        return TrainingResult(run.model, run.best, tuple(run.history))


class _Run(Generic[M]):
    """One training: model, optimizer, draws and measurements; all of it goes into a checkpoint."""

    def __init__(
        self, model: M, dataset: SequenceDataset, config: TrainingConfig, folder: Path | None
    ) -> None:
        self.model, self.dataset, self.config, self.folder = model, dataset, config, folder
        self.device = model.device
        self.examples = model.examples(dataset)
        self.per_epoch = -(-len(self.examples) // config.batch_size)
        self.total = config.epochs * self.per_epoch
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizer = _optimizer(self.model, config)
        self.history: list[Measurement] = []
        self.best_state: dict[str, Tensor] = {}
        self.epoch, self.step, self.seconds_before = 0, 0, 0.0
        self.losses: list[Tensor] = []
        self.started = time.perf_counter()
        self.key = self._key() if folder is not None else ""
        self._restore()

    @property
    def best(self) -> Measurement:
        """The first measurement with the highest monitored metric."""
        return max(self.history, key=self._monitored)

    @property
    def exhausted(self) -> bool:
        """Whether `patience` measurements have passed without a better one."""
        since = len(self.history) - self.history.index(self.best) - 1 if self.history else 0
        return since >= self.config.patience

    def train_epoch(self, progress: Callable[[int, int, Measurement | None], None]) -> None:
        """Make one pass over the examples; measure at its end where it is time to."""
        config = self.config
        dealt = torch.randperm(len(self.examples), generator=self.generator)
        self.epoch += 1
        measures = self.epoch % config.evaluate_every == 0 or self.epoch == config.epochs
        batches = torch.split(dealt, config.batch_size)
        for chosen in batches[:-1]:
            self._step(self.examples[chosen])
            progress(self.step, self.total, None)
        self._step(self.examples[batches[-1]])
        progress(self.step, self.total, self._measure() if measures else None)

    def _step(self, examples: Tensor) -> None:
        width = int((examples >= 0).sum(1).max())  # no longer than the longest of the batch
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = _learning_rate(self.step, self.total, self.config)
        halved = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=halved):
            loss = self.model.loss(examples[:, :width].to(self.device))
        if not torch.isfinite(loss):
            self._stop(loss.item())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(loss.detach())

    def _measure(self) -> Measurement:
        self.model.eval()
        found = self.model.evaluate(self.dataset, "validation", coverage=(), quick=True)
        self.model.train()
        measured = Measurement(
            self.epoch,
            self.step,
            float(torch.stack(self.losses).mean()),
            _learning_rate(self.step, self.total, self.config),
            {name: found.metrics(name) for name in found.ranks},
            self._seconds(),
        )
        self._monitored(measured)
        self.losses.clear()
        self.history.append(measured)
        if self.best is measured:
            self.best_state = copy.deepcopy(self.model.state_dict())
        self._keep()
        return measured

    def _monitored(self, measured: Measurement) -> float:
        metrics = measured.validation[self.config.protocol]
        if self.config.monitor not in metrics:
            raise InputError(
                f"no metric {self.config.monitor!r} to choose by; there are {', '.join(metrics)}"
            )
        return metrics[self.config.monitor]

    def _seconds(self) -> float:
        return round(self.seconds_before + time.perf_counter() - self.started, 2)

    def _stop(self, loss: float) -> NoReturn:
        kept = (
            f"that of epoch {self.history[-1].epoch} is the last good one" if self.history else ""
        )
        raise FloatingPointError(
            f"the loss is {loss} at step {self.step}; {kept or 'nothing was measured before'}; "
            f"lower the learning rate"
        )

    def _key(self) -> str:
        """Digest what decides the result: configuration, data, shape and first weights."""
        marks = (self.config, self.dataset.fingerprint, repr(self.model), torch.__version__)
        digest = hashlib.sha256(repr(marks).encode())
        for name, tensor in sorted(module_state(self.model).items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _keep(self) -> None:
        if self.folder is None:
            return
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._seconds(),
            "model": self.model.state_dict(),
            "best": self.best_state,
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(self.generator, self.device),
            "history": [asdict(measured) for measured in self.history],
        }
        save_checkpoint(self.folder / "checkpoint.pt", self.key, state)
        lines = (json.dumps(asdict(measured)) + "\n" for measured in self.history)
        (self.folder / "metrics.jsonl").write_text("".join(lines))

    def _restore(self) -> None:
        if self.folder is None:
            return
        state: Mapping[str, Any] | None = load_checkpoint(self.folder / "checkpoint.pt", self.key)
        if state is None:
            return
        self.epoch, self.step, self.seconds_before = (
            state["epoch"],
            state["step"],
            state["seconds"],
        )
        self.model.load_state_dict(state["model"])
        self.best_state = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        restore_random_state(state["random"], self.generator, self.device)
        self.history = [Measurement(**measured) for measured in state["history"]]


def _optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    linear = {layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)}
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {
                "params": [p for p in learnt if p in linear],
                "weight_decay": config.weight_decay,
            },
            {"params": [p for p in learnt if p not in linear], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


def _learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """Return the learning rate of step number `step`, from 1."""
    if step < config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    after = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return config.learning_rate * half_cosine(after)
