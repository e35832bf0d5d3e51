"""The optimizer: groups with their rates and decay."""

import pytest
from torch import nn

from tokenizer.config import AutoencoderConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizer_config import GritConfig
from tokenizer.training.optimizer import adamw


@pytest.mark.parametrize(
    ("size", "rank", "pace"), [(256, 16, 1.0), (16, 1, 1.0), (4096, 16, 0.25), (1024, 64, 0.25)]
)
def test_each_parameter_has_its_rate_and_decay(size: int, rank: int, pace: float) -> None:
    model = Autoencoder(
        8, AutoencoderConfig(network="mlp", hidden=(8,)), GritConfig(codebook_size=size, rank=rank)
    )
    network = [*model.encoder.parameters(), *model.decoder.parameters()]
    optimizer = adamw(network, model.quantizer, 0.25, 0.5, 0.125)
    found = {
        id(parameter): (group["lr"], group["peak"], group["weight_decay"])
        for group in optimizer.param_groups
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
    [group] = adamw([], nn.Linear(2, 2), 0.25, 0, 0.5).param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.0)
