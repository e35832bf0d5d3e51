"""The training options of a model that predicts the next item."""

import math
from dataclasses import dataclass

from data_prep.errors import InputError
from recsys.evaluation.full_ranking import CANDIDATES, Candidates
from recsys.training.schedule import SCHEDULES

__all__ = ["TrainingConfig"]

PRECISIONS = ("fp32", "bf16")
MINIMUM = {
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
    """How a model is trained: length, optimizer, measurements.

    Attributes:
        epochs: the most passes over the training examples.
        batch_size: examples a step, over all processes together.
        learning_rate: AdamW's highest learning rate.
        schedule: of the learning rate after the warm-up, one of
            `recsys.training.schedule.SCHEDULES`.
        warmup_steps: steps in which the learning rate rises linearly from zero.
        weight_decay: AdamW's, for the matrices of linear layers; embeddings have none.
        evaluate_every: epochs between two measurements.
        validation_users: how many users to measure on, the same in every training; 0 for all.
        patience: training stops after this many measurements without an improvement.
        monitor: the metric that chooses the best model; higher is better.
        candidates: the candidate set of `monitor`, one of
            `recsys.evaluation.full_ranking.CANDIDATES`.
        precision: of the matrix products in training, `fp32` or `bf16`. Weights, losses and the
            ranking stay float32.
        checkpoint_every: steps between two further checkpoints; measurements always write one. 0
            for none.
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
        """Check the bounds of all numbers, and the names of schedule, precision and candidates.

        Raises:
            InputError: names the field and what it can be.
        """
        for name, least in MINIMUM.items():
            if not least <= (number := getattr(self, name)) < math.inf:
                raise InputError(f"{name} is {number:g}; give {least} or more")
        if not self.learning_rate:
            raise InputError("learning_rate is 0; give more than 0")
        for name, known in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("candidates", CANDIDATES),
        ):
            if (given := getattr(self, name)) not in known:
                raise InputError(f"{name} {given!r}; choose from {', '.join(known)}")
