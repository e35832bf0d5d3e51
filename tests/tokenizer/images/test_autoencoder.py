"""The autoencoder: one latent a position, codes alone give the image, grids that fit."""

from dataclasses import replace

import pytest
import torch

from data_prep.errors import InputError
from tests.tokenizer.images.pictures import SIDE, TINY
from tokenizer.images.model.autoencoder import ImageAutoencoder, halvings
from tokenizer.images.options import with_image_options


def _model(**options: object) -> ImageAutoencoder:
    torch.manual_seed(0)
    model = ImageAutoencoder(SIDE, with_image_options(TINY, options))
    x = torch.randn(40, 3, SIDE, SIDE)
    model.quantizer.start_from(model.latents(x).detach(), torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("levels", [1, 3])
def test_codes_alone_give_the_image(levels: int) -> None:
    model, x = _model(levels=levels), torch.randn(5, 3, SIDE, SIDE)
    codes = model.encode(x)
    assert codes.shape == (5, 16, levels)
    torch.testing.assert_close(model.decode(codes), model(x).reconstruction)


def test_latents_stand_in_raster_order_and_belong_to_their_images() -> None:
    model, x = _model(), torch.randn(3, 3, SIDE, SIDE)
    latents = model.latents(x).view(3, 4, 4, -1)
    torch.testing.assert_close(latents[1, 2, 3], model.encoder(x)[1, :, 2, 3])
    other = x.clone()
    other[1] = 0
    changed = (model.latents(other) != model.latents(x)).any(1).view(3, 16).any(1)
    assert changed.tolist() == [False, True, False]


def test_fewer_levels_give_a_coarser_image() -> None:
    model, x = _model(levels=3), torch.randn(40, 3, SIDE, SIDE)
    z, codes = model.latents(x), model.encode(x).flatten(0, 1)
    gaps = [(model.quantizer.decode(codes[:, :n]) - z).square().sum() for n in (1, 2, 3)]
    assert gaps[0] > gaps[1] > gaps[2]


@pytest.mark.parametrize("grid", [3, 5, 16, 32])
def test_a_grid_that_does_not_divide_names_those_that_do(grid: int) -> None:
    network = replace(TINY.network, grid=grid)
    with pytest.raises(InputError, match=f"grid {grid} does not .* that do: 8, 4, 2, 1"):
        halvings(SIDE, network)
    assert halvings(28, replace(network, grid=7)) == 2
