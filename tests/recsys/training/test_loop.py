import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import evaluate
from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.models.base import NextItemModel
from recsys.models.causal_transformer import TowerConfig
from recsys.models.sasrec import Sasrec
from recsys.training.config import TrainingConfig
from recsys.training.loop import Measurement, TrainedModel, _validation_users, train
from tests.recsys.conftest import dataset_of, in_order

TINY = TowerConfig(width=16, layers=1, heads=1, feedforward=16, dropout=0.2, history=8)
SHORT = TrainingConfig(epochs=4, batch_size=64, warmup_steps=3, schedule="cosine")


class Stop(Exception):  # noqa: N818
    """Stands for a user's Ctrl-C."""


def _train(dataset: SequenceDataset, config: TrainingConfig = SHORT) -> TrainedModel[Sasrec]:
    return train(lambda: Sasrec(TINY, dataset), dataset, config)


def _curve(result: TrainedModel[Sasrec]) -> list[Measurement]:
    return [replace(measured, seconds=0) for measured in result.history]


def test_equal_seeds_give_equal_models_and_other_seeds_others(dataset: SequenceDataset) -> None:
    first, second, other = (_train(dataset, replace(SHORT, seed=seed)) for seed in (0, 0, 1))
    assert _curve(first) == _curve(second)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    assert _curve(first) != _curve(other)


def test_a_resumed_training_has_the_same_result(dataset: SequenceDataset, tmp_path: Path) -> None:
    """It is stopped in the third epoch and resumes after the second."""
    whole = _train(dataset)
    per_epoch = whole.history[0].step

    def stop(step: int, total: int, measured: Measurement | None) -> None:
        del total, measured
        if step == 2 * per_epoch + 1:
            raise Stop

    def build() -> Sasrec:
        return Sasrec(TINY, dataset)

    with pytest.raises(Stop):
        train(build, dataset, SHORT, tmp_path, stop)
    heard: list[int] = []
    resumed = train(build, dataset, SHORT, tmp_path, lambda step, total, m: heard.append(step))
    assert heard[0] == 2 * per_epoch + 1
    assert _curve(resumed) == _curve(whole)
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    assert json.loads(lines[2])["validation"] == whole.history[2].validation
    finished = train(
        build, dataset, SHORT, tmp_path, lambda step, total, m: pytest.fail("trains again")
    )
    assert _curve(finished) == _curve(whole)


@pytest.mark.parametrize("model", ["sasrec", "tiger"])
def test_a_training_can_be_stopped_at_any_step(model: str, tmp_path: Path) -> None:
    """Within an epoch, at its end, and after a measurement; with dropout."""
    data = in_order()
    shape = TigerRecommenderConfig(
        width=16, heads=2, head_width=8, hidden=16, layers=1, dropout=0.2, beams=5,
        validation_beams=10,
    )  # fmt: skip

    def build() -> NextItemModel:
        return Sasrec(TINY, data) if model == "sasrec" else TigerRecommender(shape, data)

    size = len(build().examples(data)) // 3 + 1
    config = TrainingConfig(
        epochs=4, batch_size=size, warmup_steps=2, evaluate_every=2, validation_users=40,
        schedule="inverse_root", checkpoint_every=1,
    )  # fmt: skip
    whole = train(build, data, config)
    assert whole.history[0].step == 6
    for last in (2, 3, 8):

        def stop(step: int, total: int, measured: Measurement | None, last: int = last) -> None:
            del total, measured
            if step == last:
                raise Stop

        folder, heard = tmp_path / str(last), list[int]()

        def hear(
            step: int, total: int, measured: Measurement | None, heard: list[int] = heard
        ) -> None:
            del total, measured
            heard.append(step)

        with pytest.raises(Stop):
            train(build, data, config, folder, stop)
        resumed = train(build, data, config, folder, hear)
        assert heard == list(range(last + 1, 13))
        assert [replace(m, seconds=0) for m in resumed.history] == [
            replace(m, seconds=0) for m in whole.history
        ]
        for name, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_the_checkpoint_of_another_training_is_ignored(
    dataset: SequenceDataset, tmp_path: Path
) -> None:
    one = replace(SHORT, epochs=1)
    train(lambda: Sasrec(TINY, dataset), dataset, one, tmp_path)
    other_data = dataset_of([[0, 1, 2, 3, 4]] * 5, dataset.n_items)
    for model, data, config in (
        (TINY, dataset, replace(one, seed=1)),
        (replace(TINY, dropout=0.3), dataset, one),
        (TINY, other_data, one),
    ):
        heard: list[int] = []
        train(
            lambda model=model, data=data: Sasrec(model, data),  # type: ignore[misc]
            data,
            config,
            tmp_path,
            lambda step, total, m, heard=heard: heard.append(step),  # type: ignore[misc]
        )
        assert heard[0] == 1


def test_a_fixed_order_of_items_is_learnt() -> None:
    """Item i is always followed by (7 i + 3) mod 50."""
    rows = []
    for user in range(400):
        row = [user % 50]
        for _ in range(5 + user % 7):
            row.append((7 * row[-1] + 3) % 50)
        rows.append(row)
    data = dataset_of(rows, 50)
    config = TrainingConfig(epochs=60, batch_size=64, learning_rate=5e-3, warmup_steps=10)
    shape = replace(TINY, width=32, heads=2, dropout=0.1)
    result = train(lambda: Sasrec(shape, data), data, config)
    found = evaluate(result.model.scores, data, "test", shape.history)
    assert np.mean(found.ranks["all"] == 1) > 0.9


def test_the_best_epoch_is_kept_instead_of_the_last(dataset: SequenceDataset) -> None:
    config = replace(SHORT, epochs=40, learning_rate=0.01, patience=3)
    result = _train(dataset, config)
    assert len(result.history) - result.history.index(result.best) - 1 == 3
    assert result.best.validation["all"]["ndcg@10"] == max(
        measured.validation["all"]["ndcg@10"] for measured in result.history
    )
    again = evaluate(result.model.scores, dataset, "validation", TINY.history, coverage=())
    assert again.metrics() == result.best.validation["all"]
    assert not result.model.training


def test_the_learning_rate_warms_up_and_falls(dataset: SequenceDataset) -> None:
    per_epoch = math.ceil(len(dataset.training_windows(8)) / 64)
    rates = [measured.learning_rate for measured in _train(dataset).history]
    total, warmup = 4 * per_epoch, SHORT.warmup_steps
    expected = [
        1e-3 * (1 + math.cos(math.pi * (epoch * per_epoch - warmup) / (total - warmup))) / 2
        for epoch in (1, 2, 3, 4)
    ]
    assert rates == pytest.approx(expected, abs=1e-12)
    falling = replace(SHORT, schedule="inverse_root")
    rates = [measured.learning_rate for measured in _train(dataset, falling).history]
    assert rates == pytest.approx([1e-3 * math.sqrt(3 / (n * per_epoch)) for n in (1, 2, 3, 4)])
    slow = replace(SHORT, epochs=1, warmup_steps=10 * per_epoch, schedule="constant")
    assert _train(dataset, slow).history[0].learning_rate == pytest.approx(1e-4)


def test_measurements_are_made_when_they_are_due(dataset: SequenceDataset) -> None:
    result = _train(dataset, replace(SHORT, evaluate_every=3))
    assert [measured.epoch for measured in result.history] == [3, 4]
    left_out = _train(dataset, replace(SHORT, candidates="without_history", monitor="recall@20"))
    assert left_out.best.validation["without_history"]["recall@20"] == max(
        measured.validation["without_history"]["recall@20"] for measured in left_out.history
    )


def test_validation_can_use_some_of_the_users(dataset: SequenceDataset) -> None:
    """All trainings use the same users, and the measurement is theirs."""
    heard = []
    for seed in (0, 1):
        result = _train(dataset, replace(SHORT, validation_users=30, seed=seed, epochs=1))
        of_each = result.model.evaluate(dataset, "validation").per_user()["mrr"]
        wanted = result.best.validation["all"]["mrr"]
        users = _validation_users(dataset.n_users, 30)
        assert of_each[users].mean() == pytest.approx(wanted)
        heard.append(users.tolist())
    assert heard[0] == heard[1]
    assert len(set(heard[0])) == 30


def test_torchs_global_random_state_is_unchanged(dataset: SequenceDataset) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    _train(dataset, replace(SHORT, epochs=1))
    assert torch.equal(torch.rand(1), expected)


def test_unusable_options_are_refused(dataset: SequenceDataset) -> None:
    with pytest.raises(InputError, match="choose from constant, cosine, inverse_root"):
        _train(dataset, replace(SHORT, schedule="linear"))
    with pytest.raises(InputError, match=r"no metric 'ndcg@7'; .* recall@5"):
        _train(dataset, replace(SHORT, monitor="ndcg@7"))
    wrong: list[tuple[str, Any]] = [
        ("epochs", 0), ("patience", 0), ("batch_size", -5), ("evaluate_every", 0),
        ("learning_rate", -1.0), ("learning_rate", math.nan), ("learning_rate", 0.0),
        ("weight_decay", math.inf), ("checkpoint_every", -1),
    ]  # fmt: skip
    for name, number in wrong:
        with pytest.raises(InputError, match=rf"{name} is {number:g}; give"):
            _train(dataset, replace(SHORT, **{name: number}))


class Broken(Sasrec):
    """Its loss is NaN from the third step on."""

    steps = 0

    def loss(self, examples: Tensor) -> Tensor:
        self.steps += 1
        return super().loss(examples) * (math.nan if self.steps > 2 else 1)


def test_a_loss_of_nan_stops_the_training(dataset: SequenceDataset) -> None:
    with pytest.raises(FloatingPointError, match="nan at step 3; nothing was measured before"):
        train(lambda: Broken(TINY, dataset), dataset, SHORT)


def test_scores_that_are_no_numbers_stop(dataset: SequenceDataset) -> None:
    """The one step of an epoch has a finite loss, and leaves weights that are of no use."""
    config = replace(SHORT, learning_rate=1e10, warmup_steps=0, batch_size=10**6)
    with pytest.raises(FloatingPointError, match=r"step 1; nothing.* lower the learning rate"):
        _train(dataset, config)


def test_models_need_torch_alone() -> None:
    """A machine with an accelerator may lack faiss, polars and pydantic."""
    program = (
        "import sys\n"
        "for name in ('faiss', 'polars', 'pydantic', 'sklearn', 'accelerate'):\n"
        "    sys.modules[name] = None\n"
        "sys.modules['sentence_transformers'] = None\n"
        "import recsys.training.loop, recsys.models.sasrec, recsys.models.baselines\n"
        "import data_prep.significance\n"
        "import recsys.generation.tiger\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
