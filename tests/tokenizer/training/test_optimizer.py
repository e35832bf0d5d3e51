"""The optimizer: groups with their rates and decay."""

from dataclasses import replace

import pytest

from tokenizer.config import AutoencoderConfig, FitConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizer_config import GritConfig
from tokenizer.training.optimizer import adamw

CONFIG = FitConfig(learning_rate=0.25, codebook_learning_rate=0.5, weight_decay=0.125)


@pytest.mark.parametrize(
    ("size", "rank", "pace"), [(256, 16, 1.0), (16, 1, 1.0), (4096, 16, 0.25), (1024, 64, 0.25)]
)
def test_each_parameter_has_its_rate_and_decay(size: int, rank: int, pace: float) -> None:
    network = AutoencoderConfig(network="mlp", hidden=(8,))
    model = Autoencoder(8, network, GritConfig(codebook_size=size, rank=rank))
    found = {
        id(parameter): (group["lr"], group["peak"], group["weight_decay"])
        for group in adamw(model, CONFIG).param_groups
        for parameter in group["params"]
    }
    assert len(found) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        rate, decay = 0.25, 0.125 if parameter.dim() > 1 else 0.0
        if name.startswith("quantizer."):
            rate, decay = 0.5, 0.0
            if name.endswith(("transform.u", "transform.v")):
                rate = 0.5 * pace
        assert found[id(parameter)] == (rate, rate, decay), name


def test_without_a_rate_of_their_own_codebooks_have_the_networks() -> None:
    model = Autoencoder(8, AutoencoderConfig(), GritConfig())
    [group] = adamw(model, replace(CONFIG, codebook_learning_rate=0)).param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.0)
