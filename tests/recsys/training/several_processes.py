"""The program of each process in a test of several: trains and writes its outcome."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.models.base import NextItemModel
from recsys.models.causal_transformer import TowerConfig
from recsys.models.sasrec import Sasrec
from recsys.training.config import TrainingConfig
from recsys.training.loop import Measurement, TrainedModel, train
from tests.recsys.conftest import in_order

__all__ = ["CONFIG", "outcome", "trained"]

CONFIG = TrainingConfig(
    epochs=4, batch_size=30, learning_rate=5e-3, warmup_steps=5, checkpoint_every=1, patience=2
)
USERS = 53  # two processes cannot share their examples and validation evenly


def trained(
    model: str, dropout: float, folder: Path | None, killed_at: int = 0
) -> TrainedModel[NextItemModel]:
    """Train a small model; end the process at a step, as a crash of the machine would."""
    data = in_order(USERS)

    def build() -> NextItemModel:
        if model == "sasrec":
            small = TowerConfig(
                width=16, layers=1, heads=1, feedforward=16, dropout=dropout, history=4
            )
            return Sasrec(small, data)
        shape = TigerRecommenderConfig(
            width=16, heads=2, head_width=8, hidden=16, layers=1, dropout=dropout, history=4
        )
        return TigerRecommender(shape, data)

    def progress(step: int, total: int, measured: Measurement | None) -> None:
        del total, measured
        if step == killed_at:
            os._exit(3)

    return train(build, data, CONFIG, folder, progress)


def outcome(result: TrainedModel[NextItemModel]) -> dict[str, Any]:
    """Return the curve and the weights as JSON values."""
    curve = [{**asdict(measured), "seconds": 0} for measured in result.history]
    weights = torch.cat([p.detach().flatten() for p in result.model.parameters()])
    return {"curve": curve, "weights": weights.tolist()}


if __name__ == "__main__":
    models, rate, where, killed = sys.argv[1:]
    rank = os.environ["RANK"]
    found = {}
    for name in models.split(","):
        own = Path(where) / f"{name}{rank}"  # rank 0 alone may write to its folder
        found[name] = outcome(trained(name, float(rate), own, int(killed)))
    (Path(where) / f"outcome{rank}.json").write_text(json.dumps(found))
