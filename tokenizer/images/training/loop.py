"""Train an image autoencoder with a quantizer at each position of its grid."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tokenizer.images.config import ImageConfig
from tokenizer.images.data.device_images import DeviceImages, as_pixels, to_unit
from tokenizer.images.measures.features import perceptual_distance
from tokenizer.images.model.autoencoder import ImageAutoencoder, ImageOutput
from tokenizer.images.model.classifier import Classifier
from tokenizer.images.training.average import Average
from tokenizer.training.health import level_health
from tokenizer.training.memory import freed_memory_kept
from tokenizer.training.monitor import not_finite
from tokenizer.training.optimizer import adamw, half_cosine
from tokenizer.training.randomness import deterministic

__all__ = [
    "CHUNK",
    "ImageMeasurement",
    "TrainedImages",
    "TrainingRun",
    "image_losses",
    "train_images",
]

CHUNK = 125  # images of a pass without gradients
CHECKED_EVERY = 20  # steps on a GPU; each look waits for it
START_ROWS = 32_768  # latents among which k-means finds a level's codewords
ROWS_PER_CODEWORD = (2, 8)  # as few, where START_ROWS are fewer; and as many, where they are more


@dataclass(frozen=True)
class ImageMeasurement:
    """One measurement on validation images, of the averaged model.

    Attributes:
        loss: relative squared error plus the weighted perceptual distance, as in training.
        utilization, dead_codes, perplexity: of each level, over the validation images' positions.
    """

    step: int
    loss: float
    utilization: tuple[float, ...]
    dead_codes: tuple[int, ...]
    perplexity: tuple[float, ...]


@dataclass(frozen=True)
class TrainedImages:
    """The averaged model in eval mode, with the history of its training.

    Attributes:
        seconds: time of all steps, without measurements.
        step_milliseconds: mean time of a step after the warm-up.
    """

    model: ImageAutoencoder
    history: Sequence[ImageMeasurement]
    seconds: float
    step_milliseconds: float

    @property
    def loss(self) -> float:
        """The loss on validation images at the end."""
        return self.history[-1].loss

    def as_records(self) -> list[dict[str, Any]]:
        """Return the history as JSON values."""
        return [asdict(measured) for measured in self.history]


def train_images(images: DeviceImages, critic: Classifier, config: ImageConfig) -> TrainedImages:
    """Train an autoencoder on images.

    The training has a warm-up without quantization, the start of the codebooks from latents, and
    AdamW with a half cosine. The loss is the squared error in units of the images' variance, plus
    the weighted perceptual distance, plus the quantizer's auxiliary loss over d.

    Args:
        critic: the classifier whose features give the perceptual term.

    Raises:
        FloatingPointError: the loss is no longer finite; the message names the step and the layer.
    """
    with deterministic(config.seed), freed_memory_kept():
        run = TrainingRun(images, critic, config)
        total = config.warmup_steps + config.steps
        every = max(1, config.steps // config.measurements)
        history: list[ImageMeasurement] = []
        seconds = 0.0
        after = 0.0
        if not config.warmup_steps:
            run.start_quantizing()
        for step in range(1, total + 1):
            started = time.perf_counter()
            run.step(step)
            if step == config.warmup_steps:
                run.start_quantizing()
            done = step - config.warmup_steps
            measures = done >= 0 and (done % every == 0 or step == total)
            if measures or step == total:
                run.synchronise()
            seconds += time.perf_counter() - started
            if step <= config.warmup_steps:
                after = seconds
            if measures:
                history.append(run.measure(done))
        mean = (seconds - after) / config.steps * 1e3
        return TrainedImages(run.averaged(), history, seconds, mean)


class TrainingRun:
    """One training: model, its average, optimizer and random draws."""

    def __init__(self, images: DeviceImages, critic: Classifier, config: ImageConfig) -> None:
        self.images, self.critic, self.config = images, critic, config
        self.device = images.training.device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.variance = images.variance
        self.model = ImageAutoencoder(images.side, config).to(self.device)
        self.optimizer = adamw(self.model, config)
        self.average: Average | None = None

    def step(self, step: int) -> Tensor:
        """Make step number `step`, from 1; return its loss.

        Raises:
            FloatingPointError: the loss is not finite; a GPU tells it some steps later.
        """
        config, model = self.config, self.model.train()
        quantize = self.average is not None
        progress = (step - 1) / (config.warmup_steps + config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * half_cosine(progress)
        x = self._batch()
        try:
            output: ImageOutput = model(x, quantize)
        except RuntimeError:  # of what is not finite, as in a matrix's eigenvalues
            self._check_finite(step, x, None)
            raise
        losses = image_losses(x, output.reconstruction, self.critic, self.variance, config)
        loss: Tensor = losses.mean() + output.loss / config.network.latent
        if self.device.type == "cpu" or step % CHECKED_EVERY == 0:
            self._check_finite(step, x, loss.item())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.average is not None:
            model.quantizer.after_step(step / (config.warmup_steps + config.steps))
            self.average.follow()
        return loss

    def start_quantizing(self) -> None:
        """Start the codebooks from latents of training images, and the average from the model."""
        size = self.config.quantizer.codebook_size
        fewest, most = (rows * size for rows in ROWS_PER_CODEWORD)
        rows = min(max(fewest, min(START_ROWS, most)), len(self.images.training) * self._places())
        order = torch.randperm(len(self.images.training), generator=self.generator)
        shown = order[: math.ceil(4 * rows / self._places())].to(self.device)
        with torch.no_grad():
            parts = torch.split(self.images.training[shown], CHUNK)
            z = torch.cat([self.model.eval().latents(to_unit(part)) for part in parts])
        if not torch.isfinite(z).all():
            raise FloatingPointError(
                f"latents are not finite after {self.config.warmup_steps} warm-up steps; lower the "
                f"learning rate"
            )
        chosen = torch.randperm(len(z), generator=self.generator)[:rows].to(self.device)
        self.model.quantizer.start_from(z[chosen], self.generator)
        self.average = Average(self.model, self.config.average)

    def averaged(self) -> ImageAutoencoder:
        """Return the averaged model in eval mode."""
        assert self.average is not None
        return self.average.model.eval()  # forgets the codebook that was searched before

    @torch.no_grad()
    def measure(self, done: int) -> ImageMeasurement:
        """Measure the averaged model on the validation images after `done` quantized steps."""
        model = self.averaged()
        codes, losses = [], []
        for part in torch.split(self.images.validation, CHUNK):
            x = to_unit(part)
            codes.append(model.encode(x))
            decoded = to_unit(as_pixels(model.decode(codes[-1])))
            losses.append(image_losses(x, decoded, self.critic, self.variance, self.config))
        loss = float(torch.cat(losses).mean())
        if not math.isfinite(loss):
            raise FloatingPointError(f"the validation loss is {loss} after {done} steps")
        size = self.config.quantizer.codebook_size
        health = level_health(torch.cat(codes).flatten(0, 1).cpu(), size)
        return ImageMeasurement(
            done,
            loss,
            tuple(level.utilization for level in health),
            tuple(level.dead_codes for level in health),
            tuple(level.perplexity for level in health),
        )

    def synchronise(self) -> None:
        """Wait until the device has done what it was given, so that a clock tells its time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _check_finite(self, step: int, x: Tensor, loss: float | None) -> None:
        """Raise an error if the loss is not finite, or, where there is none, a parameter."""
        if loss is None:
            finite = all(bool(torch.isfinite(p).all()) for p in self.model.parameters())
        else:
            finite = math.isfinite(loss)
        if not finite:
            raise FloatingPointError(
                f"the loss is {loss} at step {step}; the first that is not finite is "
                f"{not_finite(self.model, x)}; lower the learning rate"
            )

    def _batch(self) -> Tensor:
        training = self.images.training
        rows = min(self.config.batch_size, len(training))
        chosen = torch.randint(len(training), (rows,), generator=self.generator)
        mirrored = torch.rand(rows, generator=self.generator) < 0.5
        x = to_unit(training[chosen.to(self.device)])
        if not self.config.flip:
            return x
        return torch.where(mirrored.to(self.device)[:, None, None, None], x.flip(3), x)

    def _places(self) -> int:
        return self.config.network.grid**2


def image_losses(
    x: Tensor, decoded: Tensor, critic: Classifier, variance: float, config: ImageConfig
) -> Tensor:
    """Return the loss (n,) of each image in −1…1: relative error plus perceptual distance."""
    losses = (x - decoded).square().mean((1, 2, 3)) / variance
    if not config.perceptual:
        return losses
    with torch.no_grad():
        wanted = critic.maps(x)
    return losses + config.perceptual * perceptual_distance(wanted, critic.maps(decoded))
