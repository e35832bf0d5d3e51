"""A small classifier of the training images; its features give perceptual and Fréchet distances.

Weights of networks that were trained on ImageNet, as LPIPS and FID use, are not at hand. So the
distances here are other ones, and are not called LPIPS and FID. Two classifiers are trained, from
different seeds: one gives the perceptual term of the loss, the other measures.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from tokenizer.images.data.device_images import DeviceImages, to_unit
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.optimizer import half_cosine
from tokenizer.training.randomness import deterministic

__all__ = ["Classifier", "accuracy", "train_classifier", "trained_task"]

CHANNELS = (16, 32, 64, 128)
TURNS = 4
RATE, BATCH = 3e-3, 128
CHUNK = 500


class Classifier(nn.Module):
    """Four convolutions, each with batch normalisation; then a mean over positions."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        before, stages = 3, []
        for index, channels in enumerate(CHANNELS):
            stride = 1 if index == 0 else 2
            stages.append(
                nn.Sequential(
                    nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                )
            )
            before = channels
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, classes) of images (n, 3, side, side) in −1…1."""
        logits: Tensor = self.head(self.maps(x)[-1].mean((2, 3)))
        return logits

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of all stages, (n, c, h, w) each."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """Return the pooled features (n, 128) of the last stage, for images uint8."""
        parts = torch.split(pixels, CHUNK)
        return torch.cat([self.maps(to_unit(part))[-1].mean((2, 3)) for part in parts])


def train_classifier(images: DeviceImages, steps: int, seed: int) -> Classifier:
    """Train a classifier on the training images, and return it in eval mode without gradients.

    It learns the classes; if the images have none, it learns by how many quarters of a full turn an
    image was turned (arXiv 1803.07728).

    Raises:
        InputError: images have classes, but some training image has none.
    """
    if images.classes and bool((images.training_labels < 0).any()):
        raise InputError(
            "some images have a class and others none; put each image into a folder named by its "
            "class, or all into one"
        )
    with deterministic(seed), freed_memory_kept():
        return _trained(images, steps, torch.Generator().manual_seed(seed))


def _trained(images: DeviceImages, steps: int, generator: torch.Generator) -> Classifier:
    device = images.training.device
    model = Classifier(images.classes or TURNS).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-2)
    rows = min(BATCH, len(images.training))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * half_cosine(step / steps)
        chosen = torch.randint(len(images.training), (rows,), generator=generator).to(device)
        x, labels = trained_task(
            images.training[chosen], images.training_labels[chosen], images.classes, generator
        )
        loss = functional.cross_entropy(model(x), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval().requires_grad_(False)


def trained_task(
    pixels: Tensor, labels: Tensor, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return images in −1…1 and what is to be told of them: their classes, or their turns."""
    x = to_unit(pixels)
    if classes:
        mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
        return torch.where(mirrored[:, None, None, None], x.flip(3), x), labels
    turns = torch.arange(len(x), device=x.device) % TURNS
    for turn in range(1, TURNS):
        x[turns == turn] = torch.rot90(x[turns == turn], turn, (2, 3))
    return x, turns


@torch.no_grad()
def accuracy(model: Classifier, images: DeviceImages) -> float:
    """Return the share of validation images that the classifier gets right."""
    right = 0
    generator = torch.Generator().manual_seed(0)
    parts = zip(
        torch.split(images.validation, CHUNK),
        torch.split(images.validation_labels, CHUNK),
        strict=True,
    )
    for pixels, labels in parts:
        x, wanted = trained_task(pixels, labels, images.classes, generator)
        right += int((model(x).argmax(1) == wanted).sum())
    return right / len(images.validation)
