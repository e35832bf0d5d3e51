"""Train a search model on the requests of a data set; its best state by Recall@50 is kept."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.errors import InputError
from recsys.search.data.dataset import SearchDataset
from recsys.search.model import SearchConfig, SearchModel, query_rows
from recsys.search.ranking import DEPTH, list_metrics, means
from recsys.search.retrieval import model_lists
from recsys.training.schedule import learning_rate
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.randomness import deterministic

__all__ = ["Measured", "SearchTraining", "TrainedSearch", "train_search"]

CHECK_EVERY = 50  # steps between two looks at the loss; each waits for a GPU
Progress = Callable[[int, int, "Measured | None"], None]


@dataclass(frozen=True)
class SearchTraining:
    """How a search model is trained.

    Attributes:
        epochs: the most passes over the pairs of a request and an item that answers it.
        steps: the most steps; 0 for as many as the epochs have.
        batch_size: pairs a step.
        learning_rate: Adam's highest; it rises over the warm-up and falls to zero along a half
            cosine.
        warmup_steps: steps in which it rises.
        weight_decay: for the matrices of linear layers.
        evaluate_every: epochs between two measurements on validation.
        validation_requests: how many requests to measure on, the same in every training; 0 for all.
        patience: training stops after this many measurements without an improvement.
        monitor: the metric that chooses the best state.
        seed: of every random choice.
    """

    epochs: int = 20
    steps: int = 0
    batch_size: int = 1024
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    evaluate_every: int = 1
    validation_requests: int = 5000
    patience: int = 5
    monitor: str = "recall@50"
    seed: int = 0

    def check(self) -> None:
        """Check the bounds of all numbers.

        Raises:
            InputError: names the field and what it can be.
        """
        least = {"epochs": 1, "batch_size": 2, "evaluate_every": 1, "patience": 1}
        for name in sorted(set(asdict(self)) - {"monitor"}):
            if not least.get(name, 0) <= (number := getattr(self, name)) < math.inf:
                raise InputError(f"{name} is {number:g}; give {least.get(name, 0)} or more")
        if not self.learning_rate:
            raise InputError("learning_rate is 0; give more than 0")


@dataclass(frozen=True)
class Measured:
    """A measurement on validation, and the mean loss since the one before."""

    epoch: int
    step: int
    loss: float
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainedSearch:
    """The best model by validation, in eval mode, with its measurement and all measurements."""

    model: SearchModel
    best: Measured
    history: tuple[Measured, ...]


def train_search(
    shape: SearchConfig,
    dataset: SearchDataset,
    config: SearchTraining,
    device: str = "cpu",
    progress: Progress | None = None,
) -> TrainedSearch:
    """Train a model on the positive pairs of the training requests.

    Raises:
        InputError: as `SearchTraining.check` and `SearchModel`; nothing to train or to validate on;
            an unknown metric.
        FloatingPointError: the loss is no longer finite.
    """
    config.check()
    with deterministic(config.seed), freed_memory_kept():
        model = SearchModel(shape, dataset).to(torch.device(device))
        return _Run(
            model, dataset, config, progress or (lambda step, total, measured: None)
        ).result()


class _Run:
    """The state of one training."""

    def __init__(
        self, model: SearchModel, dataset: SearchDataset, config: SearchTraining, progress: Progress
    ) -> None:
        self.model, self.dataset, self.config, self.progress = model, dataset, config, progress
        self.device = model.query.weight.device
        requests, items = (torch.from_numpy(each) for each in dataset.pairs())
        if not model.history:
            _, asked = query_rows(dataset, requests)
            requests, items = requests[asked], items[asked]
        if not len(requests):
            raise InputError("no training request has an item that answers it")
        self.requests, self.items = requests, items
        validation = dataset.requests("validation")
        if not model.history:
            validation = validation[dataset.request_query[validation] >= 0]
        if not len(validation):
            raise InputError("no validation request has an item that answers it")
        wanted = config.validation_requests
        if 0 < wanted < len(validation):
            chosen = np.random.default_rng(0).choice(len(validation), wanted, replace=False)
            validation = validation[np.sort(chosen)]
        self.validation = validation
        self.total = config.epochs * -(-len(requests) // config.batch_size)
        if config.steps:
            self.total = min(self.total, config.steps)
        self.optimizer = _optimizer(model, config)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.history: list[Measured] = []
        self.best_state: dict[str, Tensor] = {}
        self.losses: list[Tensor] = []
        self.step = 0
        self.started = time.perf_counter()

    def result(self) -> TrainedSearch:
        """Train to the end, or until nothing improves any more."""
        epoch = 0
        while self.step < self.total and not self._exhausted():
            epoch += 1
            order = torch.randperm(len(self.requests), generator=self.generator)
            for chosen in torch.split(order, self.config.batch_size):
                if self.step < self.total:
                    self._step(chosen)
            due = epoch % self.config.evaluate_every == 0 or self.step == self.total
            if due:
                self._measure(epoch)
            self.progress(self.step, self.total, self.history[-1] if due else None)
        self.model.load_state_dict(self.best_state)
        return TrainedSearch(self.model.eval(), self._best(), tuple(self.history))

    def _step(self, chosen: Tensor) -> None:
        self.step += 1
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(
                "cosine", config.learning_rate, config.warmup_steps, self.step, self.total
            )
        requests, items = self.requests[chosen], self.items[chosen]
        vectors, asked = query_rows(self.dataset, requests)
        histories = torch.from_numpy(self.dataset.histories(requests.numpy(), self.model.history))
        loss = self.model.loss(
            *(each.to(self.device) for each in (vectors, asked, histories, items, requests))
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(loss.detach())
        if self.step % CHECK_EVERY == 0:
            self._check()
            self.progress(self.step, self.total, None)

    def _measure(self, epoch: int) -> None:
        self._check()
        self.model.eval()
        lists = model_lists(self.model, self.dataset, self.validation, DEPTH)
        self.model.train()
        cutoffs = [k for k in (10, 50, 100) if k <= lists.shape[1]]
        found = means(list_metrics(lists, self.dataset, self.validation, cutoffs))
        if self.config.monitor not in found:
            raise InputError(f"no metric {self.config.monitor!r}; choose from {', '.join(found)}")
        loss = float(torch.stack(self.losses).mean())
        seconds = round(time.perf_counter() - self.started, 2)
        self.losses.clear()
        self.history.append(Measured(epoch, self.step, loss, found, seconds))
        if self._best() is self.history[-1]:
            self.best_state = copy.deepcopy(self.model.state_dict())

    def _best(self) -> Measured:
        return max(self.history, key=lambda each: each.validation[self.config.monitor])

    def _exhausted(self) -> bool:
        if not self.history:
            return False
        since = len(self.history) - 1 - self.history.index(self._best())
        return since >= self.config.patience

    def _check(self) -> None:
        recent = torch.stack(self.losses[-CHECK_EVERY:])
        if not recent.isfinite().all():
            raise FloatingPointError(
                f"the loss is not finite before step {self.step}; lower the learning rate"
            )


def _optimizer(module: nn.Module, config: SearchTraining) -> torch.optim.Optimizer:
    linear = {layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)}
    decayed = [p for p in module.parameters() if p in linear]
    others = [p for p in module.parameters() if p not in linear]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)
