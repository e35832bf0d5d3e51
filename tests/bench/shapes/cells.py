"""One fit of the study: a catalogue with one choice of levels, codewords, network and beam."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.embedding.devices import full_precision
from tokenizer.ids.policy import TakenCodes, assign_free
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.options import configured
from tokenizer.training.health import level_health, prefix_sizes, relative_error, unique_share
from tokenizer.training.loop import train
from tokenizer.training.split import RowSplit, split_rows

__all__ = ["Fit", "fits", "measured"]

NEAREST = 10
MOST_QUERIES = 1000
STEPS, WARMUP = 100, 50
USUAL, PART = 16, 4  # codewords to choose from for items with crowded codes, and K over them
# Levels that are measured of the codebooks of residual k-means, by their size. Level by level they
# are the same for any number of levels, so that one fit serves all numbers.
LEVELS = {
    4: (4, 6, 8), 8: (3, 4, 5, 6, 8), 16: (3, 4, 5, 6, 8), 32: (3, 4, 5, 6, 7), 64: (3, 4, 5, 6),
    128: (3, 4, 5), 256: (3, 4),
}  # fmt: skip
# From so many items: the levels and codewords at which GRIT-VQ's networks and beams are compared.
BESIDE = {1: (5, 32), 2000: (4, 64)}


@dataclass(frozen=True)
class Fit:
    """One fit of the study: residual k-means, or GRIT-VQ with a network, and a search beam."""

    quantizer: str
    levels: int
    codebook_size: int
    network: str = "identity"
    beam: int = 5

    def __str__(self) -> str:
        shape = f"{self.levels} × {self.codebook_size}"
        return f"{shape} {self.quantizer} {self.network} beam {self.beam}"


def fits(items: int) -> list[Fit]:
    """Return the fits of a catalogue of so many items.

    Codebooks for which a prefix of two codes would have 1/16 to 64 items, and those of 256.
    """
    sizes = [size for size in LEVELS if size**2 / 16 <= items <= 64 * size**2 or size == 256]
    found = [Fit("kmeans", max(LEVELS[size]), size) for size in sizes if size <= 0.9 * items]
    shape = BESIDE[max(least for least in BESIDE if least <= items)]
    found += [Fit("grit", *shape, network) for network in ("identity", "linear", "mlp")]
    found.append(Fit("grit", *shape, beam=1))
    return [*found, Fit("grit", 4, 256)] if items > 256 / 0.9 else found


def measured(vectors: Tensor, labels: list[str], fit: Fit) -> dict[str, dict[str, Any]]:
    """Fit once, and return figures for each number of levels, by name.

    All figures but the training error are of validation items.

    Args:
        vectors: (n, D) float32.
        labels: n; empty for an item without one.
    """
    named = {"quantizer": fit.quantizer, "levels": fit.levels, "codebook_size": fit.codebook_size}
    config = configured(
        {**named, "search_beam": fit.beam, "network": fit.network},
        {"steps": STEPS, "warmup_steps": WARMUP, "evaluate_every": 50},
    )
    full_precision()
    result = train(vectors, config)
    model = result.model
    split = split_rows(len(vectors), config.held_out, config.seed)
    found = {}
    kept = LEVELS[fit.codebook_size] if fit.quantizer == "kmeans" else (fit.levels,)
    for levels in sorted(kept, reverse=True):
        model.quantizer.levels = model.quantizer.levels[:levels]
        model.quantizer.crowded = None
        found[str(replace(fit, levels=levels))] = _figures(model, vectors, labels, split)
    return found


def _figures(
    model: Autoencoder, vectors: Tensor, labels: list[str], split: RowSplit
) -> dict[str, Any]:
    quantizer = model.quantizer
    size = quantizer.stages[0].codebook_size
    latents = model.latents(vectors)
    plain = model.encode_latents(latents)
    found: dict[str, Any] = {}

    def error(rows: Tensor, codes: Tensor) -> float:
        return relative_error(vectors[rows], model.decode(codes[rows]), model.mean)

    # How many codewords items with crowded codes choose from: none, the usual number, a part of K.
    for name, choices in {"alone": 1, "usual": USUAL, "part": min(USUAL, size // PART)}.items():
        quantizer.choices, quantizer.crowded = choices, None
        quantizer.mark_crowded(latents, plain)
        codes = model.encode_latents(latents)
        found |= {
            f"validation_error_{name}": error(split.validation, codes),
            f"unique_share_{name}": unique_share(codes),
        }
    decoded = model.decode(codes)
    return {
        "validation_error": found[f"validation_error_{name}"],
        "train_error": error(split.training, codes),
        "unique_share": found[f"unique_share_{name}"],
        **found,
        "utilization": min(each.utilization for each in level_health(codes, size)),
        "prefixes": prefix_sizes(codes)[:2],
        **_of_prefixes(codes, labels, split),
        **_neighbours(vectors, decoded, codes, split),
        **_reassigned(vectors, latents, codes, model),
    }


def _of_prefixes(codes: Tensor, labels: list[str], split: RowSplit) -> dict[str, float]:
    """Return what validation items share with the training items of their prefix.

    Of one and of two codes: `company`, the share of items with a training item under their prefix;
    and `agreement`, how often the label of a random one is theirs, an item alone counting 0. Only
    items count whose label some training item has. `chance` is the same for any training item.
    """
    names, of = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    of = np.where(names[of] == "", -1, of)
    training, asked = split.training.numpy(), split.validation.numpy()
    counts = np.bincount(of[training] + 1, minlength=len(names) + 1)
    known = (of[asked] >= 0) & (counts[of[asked] + 1] > 0)
    labelled = training[of[training] >= 0]
    found: dict[str, float] = {}
    if known.any():
        found["chance"] = float((counts[of[asked[known]] + 1] / max(1, len(labelled))).mean())
    for length in (1, 2):
        _, prefix = np.unique(codes[:, :length].numpy(), axis=0, return_inverse=True)
        prefix = prefix.ravel()
        mates = np.bincount(prefix[training], minlength=prefix.max() + 1)
        found[f"company_{length}"] = float((mates[prefix[asked]] > 0).mean())
        if not known.any():
            continue
        pair = prefix.astype(np.int64) * len(names) + of
        kinds, same = np.unique(pair[labelled], return_counts=True)
        own = pair[asked[known]]
        at = np.searchsorted(kinds, own).clip(max=len(kinds) - 1)
        alike = np.where(kinds[at] == own, same[at], 0)
        all_of = np.bincount(prefix[labelled], minlength=prefix.max() + 1)[prefix[asked[known]]]
        found[f"agreement_{length}"] = float((alike / np.maximum(all_of, 1)).mean())
    return found


def _neighbours(
    vectors: Tensor, decoded: Tensor, codes: Tensor, split: RowSplit
) -> dict[str, float]:
    """Return the share of a validation item's ten nearest training items that codes find.

    `overlap` is by the decoded vectors; `near_1` and `near_2` count those under the item's prefix.
    """
    mean = vectors.mean(0)
    before, after = (torch.nn.functional.normalize(part - mean) for part in (vectors, decoded))
    asked, training = split.validation[:MOST_QUERIES], split.training
    k = min(NEAREST, len(training))
    overlap, shared = 0, torch.zeros(2)
    for rows in torch.split(asked, 100):
        exact = (before[rows] @ before[training].T).topk(k).indices
        coded = (after[rows] @ after[training].T).topk(k).indices
        overlap += int((exact.unsqueeze(2) == coded.unsqueeze(1)).sum())
        same = codes[training[exact]] == codes[rows].unsqueeze(1)
        shared += torch.stack([same[..., 0].sum(), same[..., :2].all(2).sum()])
    total = k * len(asked)
    return {
        "overlap": overlap / total,
        "near_1": float(shared[0]) / total,
        "near_2": float(shared[1]) / total,
    }


def _reassigned(
    vectors: Tensor, latents: Tensor, codes: Tensor, model: Autoencoder
) -> dict[str, float]:
    """Return what the policy `reassign` changes: the share of items, and what they lose then.

    `moved_error` and `kept_error` are of the items that get other codes: the share of the mean
    variance that they lose after it and before.
    """
    codebooks = model.quantizer.codebooks().cpu().numpy()
    taken = TakenCodes()
    given = codes.numpy().astype(np.uint16)
    if float(codebooks.shape[1]) ** codebooks.shape[0] < len(given):
        return {"moved": 1.0}
    free = assign_free(given, latents.numpy(), codebooks, taken)
    moved = np.flatnonzero((free != given).any(axis=1))
    found = {"moved": len(moved) / len(given)}
    if len(moved):
        rows = torch.from_numpy(moved)
        for name, own in (("moved_error", free), ("kept_error", given)):
            other = torch.from_numpy(own[moved].astype(np.int64))
            found[name] = _lost(vectors, rows, model.decode(other), model.mean)
    return found


def _lost(vectors: Tensor, rows: Tensor, decoded: Tensor, mean: Tensor) -> float:
    spread: NDArray[np.float64] = (vectors - mean).double().square().sum(1).mean().numpy()
    return float((vectors[rows] - decoded).double().square().sum(1).mean() / spread)
