"""Measurements during a tokenizer's training, and a log of its safeguards' actions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizers import GritQuantizer
from tokenizer.training.health import level_health, relative_error, unique_share
from tokenizer.training.split import RowSplit

__all__ = ["CodingQuality", "Event", "EventLog", "evaluate", "not_finite"]

LEAST_UTILIZATION = 0.5
TOLD = {
    "clip": "σ_max(W) was scaled down to its bound in {count} of {steps} steps",
    "mixing": "U Vᵀ was scaled down to its bound in {count} of {steps} steps",
    "refresh": "the searched codebook had drifted and was made anew early, {count} × in {steps}",
    "refill": "{count} codewords that no training item used were put on badly coded items",
    "reset": "{count} dead codewords were put on latents in {steps} steps",
}


@dataclass(frozen=True)
class CodingQuality:
    """One measurement during training; errors are `tokenizer.training.health.relative_error`.

    Fields with one value a level are tuples of length L.

    Attributes:
        validation_error: on the items that choose the best step.
        held_out_error: on items that choose nothing; None if no item was held out.
        utilization, dead_codes, perplexity, unique_share: over all items.
        codeword_norms: smallest, mean and largest length of a level's codewords.
        largest_singular_value: σ_max(W) of grit's transform; 1 for other variants.
        smallest_singular_value: σ_min(I + U Vᵀ) of grit's linear transform; 1 for others.
        gradient_norms: gradient norm of each of the level's parameters in the last step, by name.
    """

    step: int
    train_error: float
    validation_error: float
    held_out_error: float | None
    utilization: tuple[float, ...]
    dead_codes: tuple[int, ...]
    perplexity: tuple[float, ...]
    unique_share: float
    codeword_norms: tuple[tuple[float, float, float], ...]
    largest_singular_value: tuple[float, ...]
    smallest_singular_value: tuple[float, ...]
    gradient_norms: tuple[Mapping[str, float], ...]

    @property
    def finite(self) -> bool:
        """Whether errors, gradients and codewords are finite; JSON cannot hold other numbers."""
        errors = (self.train_error, self.validation_error, self.held_out_error or 0.0)
        norms = (norm for level in self.gradient_norms for norm in level.values())
        lengths = chain.from_iterable(self.codeword_norms)
        return all(map(math.isfinite, (*errors, *norms, *lengths)))


@dataclass(frozen=True)
class Event:
    """One action of a safeguard, or one crossing of a bound; `level` counts from 1."""

    step: int
    level: int
    what: str
    detail: str


@torch.no_grad()
def evaluate(model: Autoencoder, step: int, vectors: Tensor, split: RowSplit) -> CodingQuality:
    """Measure a model in eval mode on raw vectors (n, D)."""
    stages = model.quantizer.stages
    codes = model.encode(vectors)
    health = level_health(codes, stages[0].codebook_size)
    decoded = model.decode(codes)

    def error(rows: Tensor) -> float:
        return relative_error(vectors[rows], decoded[rows], model.mean)

    lengths = [level.searched().norm(dim=1) for level in stages]
    return CodingQuality(
        step=step,
        train_error=error(split.training),
        validation_error=error(split.validation),
        held_out_error=error(split.held_out) if len(split.held_out) else None,
        utilization=tuple(level.utilization for level in health),
        dead_codes=tuple(level.dead_codes for level in health),
        perplexity=tuple(level.perplexity for level in health),
        unique_share=unique_share(codes),
        codeword_norms=tuple((float(n.min()), float(n.mean()), float(n.max())) for n in lengths),
        largest_singular_value=tuple(
            level.transform.largest_singular_value() if isinstance(level, GritQuantizer) else 1.0
            for level in stages
        ),
        smallest_singular_value=tuple(
            level.transform.smallest_singular_value() if isinstance(level, GritQuantizer) else 1.0
            for level in stages
        ),
        gradient_norms=tuple(
            {
                name: float(parameter.grad.norm())
                for name, parameter in level.named_parameters()
                if parameter.grad is not None
            }
            for level in stages
        ),
    )


class EventLog:
    """Counts the safeguards' actions at each step and adds events at each measurement.

    Attributes:
        events: all events so far, in order.
    """

    def __init__(self, reachable: float, events: Sequence[Event] = ()) -> None:
        """Start with `events`; `reachable` is the utilization that so many items can reach."""
        self.events = list(events)
        self._least = LEAST_UTILIZATION * reachable
        self._acted: dict[int, Counter[str]] = {}
        self._steps = 0

    def after_step(self, acted: Sequence[Mapping[str, int]]) -> None:
        """Add the counts of one step: for each level, how often each safeguard acted."""
        self._steps += 1
        for level, counts in enumerate(acted, start=1):
            self._acted.setdefault(level, Counter()).update(counts)

    def refilled(self, moved: Sequence[int]) -> None:
        """Add for each level how many unused codewords a measurement put on items."""
        for level, count in enumerate(moved, start=1):
            self._acted.setdefault(level, Counter())["refill"] += count

    def measured(self, evaluation: CodingQuality) -> None:
        """Add events: safeguards that acted since the last measurement, and collapsed levels."""
        for level, counts in self._acted.items():
            self.events += [
                Event(
                    evaluation.step, level, what, TOLD[what].format(count=count, steps=self._steps)
                )
                for what, count in sorted(counts.items())
                if count
            ]
        self.events += [
            Event(evaluation.step, level, "collapse", f"only {share:.1%} of the codewords are used")
            for level, share in enumerate(evaluation.utilization, start=1)
            if share < self._least
        ]
        self._acted, self._steps = {}, 0


def not_finite(model: nn.Module, batch: Tensor) -> str:
    """Return the name of the first parameter or layer that is not finite for a batch (n, …)."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"parameter {name}"
    found: list[str] = []

    def look(name: str, output: object) -> None:
        parts = output if isinstance(output, tuple) else getattr(output, "__dict__", {}).values()
        tensors = [output] if isinstance(output, Tensor) else parts
        finite = all(torch.isfinite(t).all() for t in tensors if isinstance(t, Tensor))
        if not finite:
            found.append(name)

    hooks = [
        module.register_forward_hook(lambda m, i, output, name=name: look(name, output))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with suppress(torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return f"layer {found[0]}" if found else "the loss itself"
