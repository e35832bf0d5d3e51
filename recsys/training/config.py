"""How long and how fast a model of next items is trained."""

import math
from dataclasses import dataclass

from data_prep.errors import InputError
from recsys.evaluation.full_ranking import CANDIDATES, Candidates
from recsys.training.schedule import SCHEDULES

__all__ = ["TrainingConfig"]

PRECISIONS = ("fp32", "bf16")
LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "learning_rate": 0,
    "warmup_steps": 0,
    "weight_decay": 0,
    "evaluate_every": 1,
    "validation_users": 0,
    "patience": 1,
    "checkpoint_every": 0,
    "seed": 0,
}


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast.

    Attributes:
        epochs: at most so many passes over the training examples.
        batch_size: examples a step, of all processes together.
        learning_rate: peak of AdamW.
        schedule: of the learning rate after the warm-up, a name of
            `recsys.training.schedule.SCHEDULES`.
        warmup_steps: steps in which the learning rate rises from zero along a line.
        weight_decay: of AdamW, on the matrices of linear layers; embeddings have none.
        evaluate_every: epochs between two measurements.
        validation_users: measure on so many users, the same in every training; 0 for all.
        patience: measurements without a better one before training stops.
        monitor: the metric that chooses the best, higher is better.
        candidates: which items are ranked, a name of `recsys.evaluation.full_ranking.CANDIDATES`.
        precision: of the matrix products in training, `fp32` or `bf16`; weights, losses and the
            ranking stay float32.
        checkpoint_every: steps between two checkpoints beside those at measurements; 0 for none.
        seed: of every random choice.
    """

    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    evaluate_every: int = 1
    validation_users: int = 0
    patience: int = 5
    monitor: str = "ndcg@10"
    candidates: Candidates = "all"
    precision: str = "fp32"
    checkpoint_every: int = 0
    seed: int = 0

    def check(self) -> None:
        """Refuse a number out of bounds, and an unknown schedule, precision or candidate set.

        Raises:
            InputError: names it, and what to choose from.
        """
        for name, least in LEAST.items():
            if not least <= (number := getattr(self, name)) < math.inf:
                raise InputError(f"{name} is {number:g}; it is {least} or more")
        if not self.learning_rate:
            raise InputError("learning_rate is 0; it is above 0")
        for name, known in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("candidates", CANDIDATES),
        ):
            if (given := getattr(self, name)) not in known:
                raise InputError(f"{name} {given!r}; choose from {', '.join(known)}")
