"""What training measures and logs, and how a stopped one goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import SMALL
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizer_config import as_variant
from tokenizer.quantizers import GritQuantizer
from tokenizer.training.loop import train, training_loss
from tokenizer.training.monitor import CodingQuality


class Stop(Exception):  # noqa: N818
    """What a user's Ctrl-C is here."""


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("grit", {"protocol": "frozen"}),
        ("grit", {"protocol": "joint_ema"}),
        ("wasserstein", {}),
        ("ema", {}),
    ],
)
def test_a_stopped_training_goes_on_to_the_same_result(
    vectors: NDArray[np.float32], tmp_path: Path, name: str, changes: dict[str, str]
) -> None:
    x, checkpoint = torch.from_numpy(vectors), tmp_path / "t" / "checkpoint.pt"
    config = replace(SMALL, quantizer=as_variant(SMALL.quantizer, name, changes))
    whole = train(x, config)

    def stop(step: int, _: CodingQuality | None) -> None:
        if step == 65:
            raise Stop

    with pytest.raises(Stop):
        train(x, config, stop, checkpoint)
    heard: list[int] = []
    resumed = train(x, config, lambda step, measured: heard.append(step), checkpoint)
    assert heard[0] == 61  # the step after the last measurement
    assert resumed.history == whole.history
    state = whole.model.state_dict()
    for key, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, state[key]), key


def test_a_training_that_is_stopped_in_its_warm_up_goes_on_there(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    x, checkpoint = torch.from_numpy(vectors), tmp_path / "checkpoint.pt"
    config = replace(SMALL, warmup_steps=50, steps=20)
    whole = train(x, config)

    def stop(step: int, _: CodingQuality | None) -> None:
        if step == 45:
            raise Stop

    with pytest.raises(Stop):
        train(x, config, stop, checkpoint)
    heard: list[int] = []
    resumed = train(x, config, lambda step, measured: heard.append(step), checkpoint)
    assert heard[0] == 41
    assert resumed.history == whole.history


def test_another_trainings_checkpoint_is_not_taken_up(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    x, checkpoint = torch.from_numpy(vectors), tmp_path / "checkpoint.pt"
    train(x, SMALL, checkpoint=checkpoint)
    for data, config in ((x, replace(SMALL, seed=1)), (x.flip(0), SMALL)):
        heard: list[int] = []
        train(data, config, lambda step, measured: heard.append(step), checkpoint)  # noqa: B023
        assert heard[0] == 1
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    heard = []
    train(x, SMALL, lambda step, measured: heard.append(step), checkpoint)
    assert heard[0] == 1


def test_measurements_tell_of_each_level(vectors: NDArray[np.float32]) -> None:
    result = train(torch.from_numpy(vectors), SMALL)
    for measured in result.history[1:]:
        for figures in (
            measured.utilization, measured.dead_codes, measured.perplexity,
            measured.codeword_norms, measured.largest_singular_value, measured.gradient_norms,
            measured.smallest_singular_value,
        ):  # fmt: skip
            assert len(figures) == 3
        for used, dead in zip(measured.utilization, measured.dead_codes, strict=True):
            assert dead == round(32 * (1 - used))
        least, mean, most = measured.codeword_norms[0]
        assert 0 < least < mean < most
        for name in ("transform.u", "transform.v", "transform.w"):
            assert measured.gradient_norms[0][name] > 0
        assert 0.5 < measured.largest_singular_value[0] < 4
        assert 0.05 < measured.smallest_singular_value[0] <= 1


@pytest.mark.parametrize(
    ("changes", "what", "told"),
    [
        ({"spectral_clip": 0.5}, "clip", "σ_max"),
        ({"refresh_every": 1000}, "refresh", "drifted"),
        (
            {"protocol": "joint", "row_norm": False, "reset_below": 0.9, "decay": 0.5},
            "reset",
            "dead codewords",
        ),
    ],
)
def test_a_safeguard_that_steps_in_is_logged(
    vectors: NDArray[np.float32], changes: dict[str, object], what: str, told: str
) -> None:
    x = torch.from_numpy(vectors)
    quantizer = as_variant(SMALL.quantizer, "grit", changes)
    events = train(x, replace(SMALL, quantizer=quantizer, learning_rate=0.02)).events
    found = [event for event in events if event.what == what]
    assert found
    assert all(told in event.detail and 1 <= event.level <= 3 for event in found)
    assert all(event.step in {40, 60, 80} for event in found)


def test_quiet_trainings_log_nothing_and_collapse_is_told(vectors: NDArray[np.float32]) -> None:
    x = torch.from_numpy(vectors)
    assert {event.what for event in train(x, SMALL).events} <= {"refill"}
    changes = {"psi_max": 1.9, "commitment": 0.0, "start": "random"}
    ran_away = as_variant(SMALL.quantizer, "grit", changes)
    spoilt = torch.cat([x[:1].expand(500, -1), x[:100]])
    events = train(spoilt, replace(SMALL, quantizer=ran_away)).events
    assert any(event.what == "collapse" for event in events)


def test_not_finite_is_named_with_its_step_its_layer_and_the_checkpoint(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    x, checkpoint = torch.from_numpy(vectors), tmp_path / "checkpoint.pt"
    late = replace(SMALL, learning_rate=1e25)
    with pytest.raises(FloatingPointError) as caught:
        train(x, replace(late, warmup_steps=0), checkpoint=checkpoint)
    message = str(caught.value)
    assert "at step 2" in message
    assert "layer network.encoder" in message
    assert f"of step 0, is {checkpoint}" in message
    with pytest.raises(FloatingPointError, match="no checkpoint was made"):
        train(x, late)


def test_a_training_stopped_before_its_second_measurement_goes_on(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    """Without a warm-up the codebooks start at step 0, and only once."""
    x, checkpoint = torch.from_numpy(vectors), tmp_path / "checkpoint.pt"
    config = replace(SMALL, autoencoder=replace(SMALL.autoencoder, network="identity"))

    def stop(step: int, _: CodingQuality | None) -> None:
        if step == 5:
            raise Stop

    with pytest.raises(Stop):
        train(x, config, stop, checkpoint)
    assert train(x, config, checkpoint=checkpoint).history == train(x, config).history


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize("name", ["grit", "fsq", "wasserstein", "sf_diveq"])
def test_no_model_that_is_not_finite_comes_out(
    vectors: NDArray[np.float32], name: str, warmup: int
) -> None:
    """The one step before the measurement, or before the codebooks start, spoils all weights."""
    quantizer = as_variant(SMALL.quantizer, name, {})
    config = replace(SMALL, steps=1, warmup_steps=warmup, learning_rate=1e30, quantizer=quantizer)
    with pytest.raises(FloatingPointError, match="not finite"):
        train(torch.from_numpy(vectors), config)
    longer = replace(config, steps=5, warmup_steps=0)
    with pytest.raises(FloatingPointError, match="not finite"):
        train(torch.from_numpy(vectors), longer)


def test_a_gradient_that_is_not_finite_is_named_before_it_spreads(
    vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Infinite(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, loss: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            return loss + 0 * weight.sum()

        @staticmethod
        def backward(_: Any, *gradients: torch.Tensor) -> Any:
            return gradients[0], torch.full_like(weights[0], torch.inf)

    weights: list[torch.Tensor] = []

    def loss(model: Autoencoder, *arguments: Any) -> torch.Tensor:
        level = model.quantizer.stages[1]
        assert isinstance(level, GritQuantizer)
        weights[:] = [level.transform.get_parameter("w")]
        spoilt: torch.Tensor = _Infinite.apply(training_loss(model, *arguments), weights[0])
        return spoilt

    monkeypatch.setattr("tokenizer.training.loop.training_loss", loss)
    with pytest.raises(FloatingPointError, match=r"gradient of quantizer.levels.1.transform.w is"):
        train(torch.from_numpy(vectors), replace(SMALL, warmup_steps=0))
