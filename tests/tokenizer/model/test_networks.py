from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import SMALL
from tokenizer.config import AutoencoderConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.model.networks import NETWORKS
from tokenizer.quantizer_config import as_variant
from tokenizer.training.loop import train


def _model(network: str, latent: int = 16) -> Autoencoder:
    return Autoencoder(
        256, AutoencoderConfig(network=network, hidden=(64,), latent=latent), SMALL.quantizer
    )


def test_the_linear_network_starts_at_the_principal_directions(
    vectors: NDArray[np.float32],
) -> None:
    """Its reconstruction is the best of any linear map of that width, as sklearn's PCA finds it."""
    from sklearn.decomposition import PCA

    model = _model("linear")
    x = model.start_from(torch.from_numpy(vectors))
    lost = (model.decoder(model.encoder(x)) - x).square().mean()
    pca = PCA(16, svd_solver="full").fit(x.numpy())
    expected = x.numpy() - pca.inverse_transform(pca.transform(x.numpy()))
    assert lost.item() == pytest.approx(float((expected**2).mean()), rel=1e-3)
    assert model.network.latent == 16


def test_the_identity_hands_the_standardised_vector_on(vectors: NDArray[np.float32]) -> None:
    model = _model("identity")
    x = torch.from_numpy(vectors)
    standard = model.start_from(x)
    assert torch.equal(model.encoder(standard), standard)
    assert torch.allclose(model.latents(x), standard, atol=1e-5)
    assert model.network.latent == 256
    assert not list(model.network.parameters())


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("beam", [1, 4])
def test_every_network_trains_and_codes_alike_in_any_batch(
    vectors: NDArray[np.float32], network: str, beam: int
) -> None:
    x = torch.from_numpy(vectors)
    config = replace(
        SMALL,
        quantizer=replace(SMALL.quantizer, search_beam=beam),
        autoencoder=replace(SMALL.autoencoder, network=network),
    )
    result = train(x, config)
    assert result.best.validation_error <= result.history[0].validation_error
    codes = result.model.encode(x)
    parts = [result.model.encode(part) for part in torch.split(x, 7)]
    assert torch.equal(torch.cat(parts), codes)


def test_what_learns_without_a_gradient_makes_its_steps(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    config = replace(
        SMALL,
        quantizer=as_variant(SMALL.quantizer, "ema", {"decay": 0.5}),
        autoencoder=AutoencoderConfig(network="identity"),
    )
    x = torch.from_numpy(vectors)
    result = train(x, config, checkpoint=tmp_path / "checkpoint.pt")
    assert [measured.step for measured in result.history] == [0, 20, 40, 60]
    assert len({measured.train_error for measured in result.history}) == 4
    assert train(x, config, checkpoint=tmp_path / "checkpoint.pt").history == result.history


def test_what_cannot_learn_is_measured_as_it_starts(vectors: NDArray[np.float32]) -> None:
    config = replace(
        SMALL,
        quantizer=as_variant(SMALL.quantizer, "kmeans", {}),
        autoencoder=AutoencoderConfig(network="identity"),
    )
    result = train(torch.from_numpy(vectors), config)
    assert [measured.step for measured in result.history] == [0]
    assert result.best.train_error < 0.9
