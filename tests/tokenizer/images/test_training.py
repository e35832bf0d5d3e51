"""Training of the autoencoder: it learns, a seed determines it, and it stops at what diverges."""

from dataclasses import replace

import pytest
import torch

from tests.tokenizer.images.pictures import TINY, on_device
from tokenizer.images.data.device_images import DeviceImages, as_pixels, to_unit
from tokenizer.images.model.classifier import Classifier, accuracy, train_classifier, trained_task
from tokenizer.images.options import with_image_options
from tokenizer.images.training.loop import TrainingRun, image_losses, train_images
from tokenizer.quantizer_config import CONFIGS


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> DeviceImages:
    return on_device(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def critic(images: DeviceImages) -> Classifier:
    return train_classifier(images, 40, seed=0)


def test_pixels_survive_their_way_to_values_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_pixels(to_unit(pixels)), pixels)
    assert as_pixels(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_parts_of_the_split_share_no_image(images: DeviceImages) -> None:
    parts = (images.training, images.validation, images.held_out)
    assert [len(part) for part in parts] == [42, 9, 9]
    every = torch.cat(parts).flatten(1)
    assert len(torch.unique(every, dim=0)) == 60


def test_the_classifier_learns_classes_or_turns(images: DeviceImages, critic: Classifier) -> None:
    assert accuracy(critic, images) > 0.9
    assert not any(parameter.requires_grad for parameter in critic.parameters())
    again = train_classifier(images, 40, seed=0)
    assert torch.equal(again.head.weight, critic.head.weight)
    bare = replace(images, classes=0, training_labels=images.training_labels * 0 - 1)
    assert train_classifier(bare, 2, seed=0).head.out_features == 4
    x, turns = trained_task(images.training[:8], images.training_labels, 0, torch.Generator())
    whole = to_unit(images.training[:8])
    assert turns.tolist() == [0, 1, 2, 3] * 2
    assert torch.equal(x[5].rot90(-1, (1, 2)), whole[5])


def test_training_lowers_the_loss_and_a_seed_determines_it(
    images: DeviceImages, critic: Classifier
) -> None:
    config = replace(TINY, steps=40, warmup_steps=10, learning_rate=5e-3)
    first, again = (train_images(images, critic, config) for _ in range(2))
    assert [measured.step for measured in first.history] == [0, 20, 40]
    assert first.loss < 0.7 * first.history[0].loss
    assert first.as_records() == again.as_records()
    other = train_images(images, critic, replace(config, seed=1))
    assert other.loss != first.loss


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_every_variant_trains_and_is_measured(
    name: str, images: DeviceImages, critic: Classifier
) -> None:
    config = with_image_options(TINY, {"quantizer": name, "levels": 2, "codebook_size": 16})
    trained = train_images(images, critic, config)
    assert len(trained.history[-1].utilization) == 2
    model, x = trained.model, to_unit(images.held_out)
    torch.testing.assert_close(model.decode(model.encode(x)), model(x).reconstruction)


def test_the_average_follows_the_model(images: DeviceImages, critic: Classifier) -> None:
    run = TrainingRun(images, critic, with_image_options(TINY, {"average": 0.5}))
    run.start_quantizing()
    for step in range(1, 60):
        run.step(step)
    before = {n: p.detach().clone() for n, p in run.averaged().named_parameters()}
    run.step(60)
    for name, parameter in run.averaged().named_parameters():
        now = dict(run.model.named_parameters())[name]
        torch.testing.assert_close(parameter, (before[name] + now) / 2)


def test_moving_codebooks_come_into_the_average(images: DeviceImages, critic: Classifier) -> None:
    """The `ema` variant's codebook is made of buffers, which have no average of their own."""
    run = TrainingRun(images, critic, with_image_options(TINY, {"quantizer": "ema"}))
    run.start_quantizing()
    for step in range(1, 4):
        run.step(step)
    assert torch.equal(run.averaged().quantizer.codebooks(), run.model.eval().quantizer.codebooks())


def test_a_rate_too_high_stops_with_the_step(images: DeviceImages, critic: Classifier) -> None:
    config = with_image_options(TINY, {"learning_rate": 1e25, "steps": 60, "quantizer": "ste"})
    with pytest.raises(FloatingPointError, match=r"is nan at step \d+; the first that is not"):
        train_images(images, critic, config)


def test_the_loss_is_relative_to_the_images_variance(
    images: DeviceImages, critic: Classifier
) -> None:
    """The mean of all images has a relative error near 1, and no perceptual term changes that."""
    x = to_unit(images.training)
    plain = replace(TINY, perceptual=0.0)
    losses = image_losses(x, torch.full_like(x, float(x.mean())), critic, images.variance, plain)
    assert float(losses.mean()) == pytest.approx(1, rel=1e-3)
    more = image_losses(x, -x, critic, images.variance, TINY)
    assert (more > image_losses(x, -x, critic, images.variance, plain)).all()
