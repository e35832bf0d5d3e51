"""Train a model that predicts the next item, and keep its best state by validation."""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset, Users
from recsys.evaluation.full_ranking import Candidates, RankingQuality
from recsys.models.base import NextItemModel
from recsys.training.config import TrainingConfig
from recsys.training.distributed import processes_for
from recsys.training.schedule import learning_rate
from tokenizer.training.checkpoint import load_checkpoint, module_state, save_checkpoint
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.randomness import deterministic, random_state, restore_random_state

__all__ = ["Measurement", "TrainedModel", "train"]

CHECK_EVERY = 20  # steps between two checks of the losses; each check waits for the GPU


@dataclass(frozen=True)
class Measurement:
    """One line of metrics.jsonl.

    Attributes:
        train_loss: mean over the steps since the previous measurement.
        validation: by candidate set, the metrics of
            `recsys.evaluation.full_ranking.RankingQuality.metrics`.
        seconds: since the start, including the time before a resume.
    """

    epoch: int
    step: int
    train_loss: float
    learning_rate: float
    validation: dict[Candidates, dict[str, float]]
    seconds: float


M = TypeVar("M", bound=NextItemModel)


@dataclass(frozen=True)
class TrainedModel(Generic[M]):
    """The best model by validation, in eval mode, with its measurement and all measurements.

    What is fitted after the training (`recsys.models.base.NextItemModel.calibrate`) counts in
    `best` and not in `history`.
    """

    model: M
    best: Measurement
    history: tuple[Measurement, ...]


def train(
    build: Callable[[], M],
    dataset: SequenceDataset,
    config: TrainingConfig,
    folder: Path | None = None,
    progress: Callable[[int, int, Measurement | None], None] | None = None,
    stage: Callable[[str], None] | None = None,
) -> TrainedModel[M]:
    """Train the model that `build` makes; `build` draws its first weights from the configured seed.

    Each epoch shuffles the training examples. After every `evaluate_every` epochs each user's
    validation item is ranked among all items; the state with the best `monitor` is kept.

    Under torchrun or accelerate launch every process calls this function. Each process takes its
    part of every batch and of the validation users, gradients are averaged, and all processes
    return the same result. The first process alone reads and writes files and reports progress.
    Random draws in a step, such as dropout, and negatives within the batch differ by process.

    Args:
        folder: receives metrics.jsonl and checkpoint.pt at each measurement and every
            `checkpoint_every` steps. A training with the same data, model, configuration and number
            of processes resumes from the checkpoint, with the same result.
        progress: called after each step with its number, the highest possible number of steps, and
            the measurement if one was made.
        stage: called when the steps have ended, with what is done then, if something is.

    Raises:
        InputError: as `TrainingConfig.check`; an unknown metric; nothing to train on.
        FloatingPointError: the loss is no longer finite, or a score is not a number.
    """
    config.check()
    with deterministic(config.seed), freed_memory_kept():
        run = _Run(build(), dataset, config, folder)
        while run.epoch < config.epochs and not run.exhausted:
            run.train_epoch(progress or (lambda step, total, measured: None))
        if stage is not None and run.model.calibrates and not run.processes.rank:
            stage("fitting the best state to validation users")
        return run.finished()


class _Run(Generic[M]):
    """The state of one training: model, optimizer, random state and measurements."""

    def __init__(
        self, model: M, dataset: SequenceDataset, config: TrainingConfig, folder: Path | None
    ) -> None:
        self.model, self.dataset, self.config, self.folder = model, dataset, config, folder
        self.processes = processes_for(model.device)
        examples = model.examples(dataset)
        self.widths, self.weights = (examples >= 0).sum(1), model.predictions(examples)
        self.users = _validation_users(dataset.n_users, config.validation_users)
        if min(len(examples), len(self.users)) < self.processes.count:
            raise InputError(
                f"{self.processes.count} processes for {len(examples)} examples and "
                f"{len(self.users)} validation users; start fewer processes"
            )
        self.key = self._key() if folder is not None else ""
        self.learner = self.processes.share(model)
        self.device = model.device
        self.examples = examples.to(self.device)
        self.per_epoch = -(-len(examples) // config.batch_size)
        self.total = config.epochs * self.per_epoch
        self.generator = torch.Generator().manual_seed(config.seed)
        self.shuffled_from = self.generator.get_state()
        if self.processes.rank:
            torch.manual_seed(config.seed + (self.processes.rank << 32))
        self.optimizer = _optimizer(self.model, config)
        self.history: list[Measurement] = []
        self.best_state: dict[str, Tensor] = {}
        self.epoch, self.step, self.seconds_before = 0, 0, 0.0
        self.losses: list[Tensor] = []
        self.started = time.perf_counter()
        known = self._evaluate(self.users[:1]).metrics(config.candidates)
        if config.monitor not in known:
            raise InputError(f"no metric {config.monitor!r}; choose from {', '.join(known)}")
        self._restore()

    @property
    def best(self) -> Measurement:
        """The first measurement with the highest monitored metric."""
        return max(self.history, key=self._monitored)

    @property
    def exhausted(self) -> bool:
        """Whether the last `patience` measurements brought no improvement."""
        since = len(self.history) - self.history.index(self.best) - 1 if self.history else 0
        return since >= self.config.patience

    def finished(self) -> TrainedModel[M]:
        """Return the best state, calibrated."""
        self.model.load_state_dict(self.best_state)
        self.model.eval()
        best = self.best
        if self.model.calibrates:
            self.model.calibrate(self.dataset)
            best = replace(best, validation=self._validation())
            self.model.eval()
        return TrainedModel(self.model, best, tuple(self.history))

    def train_epoch(self, progress: Callable[[int, int, Measurement | None], None]) -> None:
        """Train to the end of an epoch, and measure there if a measurement is due."""
        config = self.config
        self.shuffled_from = self.generator.get_state()
        order = torch.randperm(len(self.examples), generator=self.generator)
        batches = torch.split(order, config.batch_size)
        for chosen in batches[self.step - self.epoch * self.per_epoch :]:
            self._step(chosen)
            measured = None
            if self.step == (self.epoch + 1) * self.per_epoch:
                self.epoch += 1
                self.shuffled_from = self.generator.get_state()
                if self.epoch % config.evaluate_every == 0 or self.epoch == config.epochs:
                    measured = self._measure()
            if measured or (config.checkpoint_every and not self.step % config.checkpoint_every):
                self._save()
            if not self.processes.rank:
                progress(self.step, self.total, measured)

    def _step(self, chosen: Tensor) -> None:
        """Make one step on the examples with these numbers."""
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        own, share = self._own_part(chosen)
        width = int(self.widths[own].max())  # cuts columns in which all have padding
        examples = self.examples[own.to(self.device)][:, :width]
        bf16 = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            loss = self.learner(examples) * share
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach())
        if len(self.losses) % CHECK_EVERY == 0:
            self._check()

    def _own_part(self, chosen: Tensor) -> tuple[Tensor, float]:
        """Return this process's part of a batch, and the factor of its loss.

        The mean of all processes' losses times their factors is the mean loss of the batch.
        """
        rank, count = self.processes.rank, self.processes.count
        if count == 1:
            return chosen, 1.0
        own = chosen.tensor_split(count)[rank]
        share = float(count * self.weights[own].sum() / self.weights[chosen].sum())
        return (own, share) if len(own) else (chosen[:1], 0.0)

    def _measure(self) -> Measurement:
        self._check()
        validation = self._validation()
        losses = self.processes.sum(torch.stack(self.losses)) / self.processes.count
        measured = Measurement(
            self.epoch,
            self.step,
            float(losses.mean()),
            self._learning_rate(),
            validation,
            self._seconds(),
        )
        self.losses.clear()
        self.history.append(measured)
        if self.best is measured:
            self.best_state = copy.deepcopy(self.model.state_dict())
        return measured

    def _validation(self) -> dict[Candidates, dict[str, float]]:
        """Return the metrics of all processes' users, by candidate set."""
        shares = np.array_split(self.users, self.processes.count)
        try:
            part = self._evaluate(shares[self.processes.rank])
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error} (step {self.step}; {self._last_good()}); lower the learning rate"
            ) from error
        found = RankingQuality.joined(self.processes.gather(part))
        return {name: found.metrics(name) for name in found.ranks}

    def _evaluate(self, users: Users) -> RankingQuality:
        self.model.eval()
        found = self.model.evaluate(self.dataset, "validation", users, coverage=(), quick=True)
        self.model.train()
        return found

    def _learning_rate(self) -> float:
        config = self.config
        return learning_rate(
            config.schedule, config.learning_rate, config.warmup_steps, self.step, self.total
        )

    def _monitored(self, measured: Measurement) -> float:
        return measured.validation[self.config.candidates][self.config.monitor]

    def _seconds(self) -> float:
        return round(self.seconds_before + time.perf_counter() - self.started, 2)

    def _check(self) -> None:
        """Raise an error if one of the last losses is not finite."""
        recent = torch.stack(self.losses[-CHECK_EVERY:]).tolist() if self.losses else []
        bad = [not math.isfinite(loss) for loss in recent]
        if not any(bad):
            return
        at = bad.index(True)
        raise FloatingPointError(
            f"the loss is {recent[at]} at step {self.step - len(bad) + at + 1}; "
            f"{self._last_good()}; lower the learning rate"
        )

    def _last_good(self) -> str:
        if not self.history:
            return "nothing was measured before"
        return f"that of epoch {self.history[-1].epoch} is the last good one"

    def _key(self) -> str:
        """Return a digest of all that decides the result: configuration, data, model, weights."""
        marks = (
            self.config,
            self.dataset.fingerprint,
            repr(self.model),
            torch.__version__,
            self.processes.count,
        )
        digest = hashlib.sha256(repr(marks).encode())
        for name, tensor in sorted(module_state(self.model).items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _save(self) -> None:
        if self.folder is None:
            return
        self._check()
        draws = random_state(self.generator, self.device) | {"generator": self.shuffled_from}
        losses = torch.stack(self.losses).cpu() if self.losses else torch.zeros(0)
        states = self.processes.gather({"random": draws, "losses": losses})
        if self.processes.rank:
            return
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._seconds(),
            "model": self.model.state_dict(),
            "best": self.best_state,
            "optimizer": self.optimizer.state_dict(),
            "processes": states,
            "history": [asdict(measured) for measured in self.history],
        }
        save_checkpoint(self.folder / "checkpoint.pt", self.key, state)
        lines = (json.dumps(asdict(measured)) + "\n" for measured in self.history)
        (self.folder / "metrics.jsonl").write_text("".join(lines))

    def _restore(self) -> None:
        if self.folder is None:
            return
        state: Mapping[str, Any] | None = None
        if not self.processes.rank:
            state = load_checkpoint(self.folder / "checkpoint.pt", self.key)
        state = self.processes.of_first(state)
        if state is None:
            return
        self.epoch, self.step = state["epoch"], state["step"]
        self.seconds_before = state["seconds"]
        self.model.load_state_dict(state["model"])
        self.best_state = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        own = state["processes"][self.processes.rank]
        restore_random_state(own["random"], self.generator, self.device)
        self.losses = list(own["losses"].to(self.device))
        self.history = [Measurement(**measured) for measured in state["history"]]


def _validation_users(count: int, wanted: int) -> Users:
    """Return the numbers of `wanted` users drawn from `count`; of all users where 0."""
    if not 0 < wanted < count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, wanted, replace=False))


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
