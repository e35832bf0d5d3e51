"""One cell of a study: train an image tokenizer, measure it on held-out images, keep a record."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from data_prep.embedding.devices import full_precision
from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record, trained_on
from tokenizer.images.config import ImageConfig, ImageNetworkConfig, PriorConfig
from tokenizer.images.data.device_images import DeviceImages, as_pixels, load_images, to_unit
from tokenizer.images.measures.features import frechet_distance, perceptual_distance
from tokenizer.images.measures.images import psnr, ssim
from tokenizer.images.model.autoencoder import ImageAutoencoder
from tokenizer.images.model.classifier import Classifier
from tokenizer.images.training.loop import CHUNK, TrainedImages, image_losses, train_images
from tokenizer.images.training.prior import train_prior
from tokenizer.quantizer_config import CONFIGS
from tokenizer.training.health import level_health

__all__ = ["Cell", "Place", "kept_record", "read_trained", "run_cell"]

SHOWN = 10  # images of each cell's pictures
SAMPLED = 250  # images drawn at once
NOISE_SEED = 0  # of every prior's samples


@dataclass(frozen=True)
class Place:
    """Where a study's cells find their images, and where they keep their records.

    Attributes:
        out: folder of the study.
        images: folder that `save_images` wrote.
        digest: the images' SHA-256, `held_out` and the steps of the classifiers; records of others
            are not this study's.
        held_out: share of the images that do not train.
        device: where cells train.
    """

    out: Path
    images: Path
    digest: str
    held_out: float
    device: str

    def classifier(self, role: str) -> Path:
        """Return the file of the classifier `critic` or `judge`."""
        return self.out / "classifiers" / f"{role}.safetensors"


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        trial: whether it only tunes: then it has no prior, and held-out images stay unseen.
    """

    config: ImageConfig
    trial: bool = False

    @property
    def work(self) -> int:
        """How long the cell takes, in training steps of the autoencoder."""
        config = self.config
        prior = 0 if self.trial else config.prior.prior_steps
        # A prior's step takes 2.4 times as long at K = 1,024, and 3.9 times at K = 4,096.
        ratio = 2 + config.quantizer.codebook_size / 2048
        return round(config.warmup_steps + config.steps + ratio * prior)

    def plain(self) -> dict[str, Any]:
        """Return the cell as JSON values."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    def path(self, place: Place) -> Path:
        """Return the file of the cell's record; other images have another file."""
        kept = json.dumps([self.plain(), place.digest], sort_keys=True)
        key = hashlib.sha256(kept.encode()).hexdigest()[:16]
        folder = "trials" if self.trial else "runs"
        return place.out / folder / f"{self.config.quantizer.name}-{key}.json"


def kept_record(cell: Cell, place: Place) -> dict[str, Any] | None:
    """Return the cell's record if it was made on this kind of device, else None."""
    path = cell.path(place)
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    same = record["cell"] == cell.plain() and record["trained_on"]["device"] == place.device
    return record if same else None


def run_cell(place: Place, cell: Cell, *, weights: bool = False) -> dict[str, Any]:
    """Return the cell's record; train if there is none.

    A training that diverges has a record too, with the reason under `failed` and no figures. One
    that cannot go on for another reason, such as want of memory, has none: `stopped` has the
    reason, and the next call tries it again.

    Args:
        weights: whether the model is kept, too, for `read_trained`.
    """
    record = kept_record(cell, place)
    path = cell.path(place)
    kept = path.with_suffix(".safetensors")
    if record is not None and (not weights or "failed" in record or kept.exists()):
        return record
    try:
        record, pictures = _made(cell, place, kept if weights else None)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  # the other cells go on
        told = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        return {"cell": cell.plain(), "validation_loss": None, "stopped": told}
    if pictures:
        with written_aside(path.with_suffix(".npz")) as aside, aside.open("wb") as file:
            arrays: dict[str, Any] = {name: v.cpu().numpy() for name, v in pictures.items()}
            np.savez_compressed(file, **arrays)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=1))
    return record


def _made(
    cell: Cell, place: Place, weights: Path | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Train and measure; return the record and what pictures are made of."""
    full_precision()
    started = time.perf_counter()
    images = _images(place)
    record: dict[str, Any] = {
        "cell": cell.plain(),
        "images": place.digest,
        "held_out": place.held_out,
        "side": images.side,
    }
    pictures: dict[str, Tensor] = {}
    try:
        trained = train_images(images, _classifier(place, "critic"), cell.config)
        record |= _training_figures(trained)
        if not cell.trial:
            judge = _classifier(place, "judge")
            figures, pictures = _held_out(trained.model, images, judge, place, cell.config)
            record |= figures
        if weights is not None:
            _keep_weights(weights, trained.model)
    except (FloatingPointError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        record |= {"failed": str(error), "validation_loss": None}
    record["trained_on"] = trained_on(place.device)
    record["record"] = run_record(cell.config.seed, place.digest, time.perf_counter() - started)
    return record, pictures


def read_trained(record: Path) -> ImageAutoencoder:
    """Return the autoencoder that was kept beside a record, in eval mode."""
    told = json.loads(record.read_text())
    config = told["cell"]["config"]
    parts = {
        "quantizer": CONFIGS[config["quantizer"]["name"]](**_tuples(config["quantizer"])),
        "network": ImageNetworkConfig(**config["network"]),
        "prior": PriorConfig(**config["prior"]),
    }
    model = ImageAutoencoder(told["side"], ImageConfig(**(config | parts)))
    model.load_state_dict(load_file(record.with_suffix(".safetensors")))
    return model.eval()


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def _keep_weights(path: Path, model: ImageAutoencoder) -> None:
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with written_aside(path) as aside:
        save_file(state, aside)


@lru_cache(maxsize=1)
def _images(place: Place) -> DeviceImages:
    return load_images(place.images, place.held_out, place.device)


@lru_cache(maxsize=2)
def _classifier(place: Place, role: str) -> Classifier:
    state = load_file(place.classifier(role))
    model = Classifier(len(state["head.bias"]))
    model.load_state_dict(state)
    return model.to(place.device).eval().requires_grad_(requires_grad=False)


def _training_figures(trained: TrainedImages) -> dict[str, Any]:
    return {
        "validation_loss": trained.loss,
        "history": trained.as_records(),
        "training_seconds": round(trained.seconds, 3),
        "step_milliseconds": trained.step_milliseconds,
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "quantizer_parameters": sum(p.numel() for p in trained.model.quantizer.parameters()),
    }


@torch.no_grad()
def _held_out(
    model: ImageAutoencoder,
    images: DeviceImages,
    judge: Classifier,
    place: Place,
    config: ImageConfig,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Measure reconstructions, codes and prior on held-out images."""
    originals = images.held_out
    codes = coded(model, originals)
    decoded = as_images(model, codes)
    critic = _classifier(place, "critic")
    figures: dict[str, Any] = reconstruction_figures(originals, decoded, judge)
    size = config.quantizer.codebook_size
    health = level_health(codes.flatten(0, 1).cpu(), size)
    losses = [
        image_losses(to_unit(x), to_unit(y), critic, images.variance, config)
        for x, y in zip(torch.split(originals, CHUNK), torch.split(decoded, CHUNK), strict=True)
    ]
    figures |= {
        "levels": [level.as_dict() for level in health],
        "utilization": min(level.utilization for level in health),
        "dead_codes": sum(level.dead_codes for level in health),
        "code_perplexity": min(level.perplexity for level in health),
        "bits": codes[0].numel() * float(np.log2(size)),
        "held_out_losses": [round(loss, 5) for loss in torch.cat(losses).tolist()],
        "levels_of_rate": _by_levels(model, originals, codes, judge, size),
    }
    figures["held_out_loss"] = float(torch.cat(losses).mean())
    shown = torch.linspace(0, len(originals) - 1, SHOWN).long().to(originals.device)
    pictures = {"originals": originals[shown], "reconstructions": decoded[shown]}
    if config.prior.prior_steps:
        with torch.enable_grad():
            more, samples = _prior_figures(model, images, codes, judge, config)
        figures |= more
        pictures["samples"] = samples[:SHOWN]
    return figures, pictures


def coded(model: ImageAutoencoder, pixels: Tensor) -> Tensor:
    """Return the codes (n, P, L) of images uint8."""
    return torch.cat([model.encode(to_unit(part)) for part in torch.split(pixels, CHUNK)])


def as_images(model: ImageAutoencoder, codes: Tensor) -> Tensor:
    """Return the images uint8 of codes (n, P, L)."""
    return torch.cat([as_pixels(model.decode(part)) for part in torch.split(codes, CHUNK)])


@torch.no_grad()
def reconstruction_figures(originals: Tensor, decoded: Tensor, judge: Classifier) -> dict[str, Any]:
    """Return PSNR in dB, SSIM, perceptual and Fréchet distance of images uint8."""
    pairs = list(zip(torch.split(originals, CHUNK), torch.split(decoded, CHUNK), strict=True))
    near = [perceptual_distance(judge.maps(to_unit(x)), judge.maps(to_unit(y))) for x, y in pairs]
    return {
        "psnr": float(torch.cat([psnr(x, y) for x, y in pairs]).mean()),
        "ssim": float(torch.cat([ssim(x, y) for x, y in pairs]).mean()),
        "perceptual": float(torch.cat(near).mean()),
        "frechet": frechet_distance(judge.features(originals), judge.features(decoded)),
    }


def _by_levels(
    model: ImageAutoencoder, originals: Tensor, codes: Tensor, judge: Classifier, size: int
) -> list[Mapping[str, float]]:
    """Return bits and figures of the codes of the first levels alone."""
    positions, levels = codes.shape[1:]
    return [
        {
            "bits": positions * length * float(np.log2(size)),
            **reconstruction_figures(originals, as_images(model, codes[..., :length]), judge),
        }
        for length in range(1, levels + 1)
    ]


def _prior_figures(
    model: ImageAutoencoder,
    images: DeviceImages,
    held_out: Tensor,
    judge: Classifier,
    config: ImageConfig,
) -> tuple[dict[str, float], Tensor]:
    """Train the prior, and compare its samples with held-out images."""
    size = config.quantizer.codebook_size
    codes = coded(model, images.training)
    if config.flip:
        codes = torch.cat([codes, coded(model, images.training.flip(3))])
    trained = train_prior(codes, held_out, size, config.prior, config.seed)
    generator = torch.Generator(held_out.device).manual_seed(NOISE_SEED)
    wanted, samples = config.prior.samples, []
    while wanted > 0:  # always as many at once, so that the same noise comes to the same image
        drawn = trained.model.sample(SAMPLED, config.prior, generator)[:wanted]
        samples.append(as_images(model, drawn))
        wanted -= SAMPLED
    pixels = torch.cat(samples)
    return {
        "prior_perplexity": trained.perplexity,
        "prior_bits": trained.bits,
        "prior_seconds": round(trained.seconds, 3),
        "sample_frechet": frechet_distance(judge.features(images.held_out), judge.features(pixels)),
    }, pixels
