"""What a tokenizer's figures mean, in words, and what to try."""

from collections.abc import Mapping
from typing import Any

from tokenizer.advice.shape import proposed_shape
from tokenizer.artifact import TokenizerArtifact

__all__ = ["tokenizer_verdicts", "told_end"]

BETTER = 0.98  # FAISS's error against ours from which it is told
USED = 0.9  # least utilization of a level
UNIQUE = 0.95
BY_HEART = 1.3  # held-out error against the training error
MOSTLY_SINGLE = 0.5
HEALTHY = "healthy: all levels are in use, most items have unique codes, and prefixes are shared"


def tokenizer_verdicts(tokenizer: TokenizerArtifact) -> list[str]:
    """Return what stands out in a tokenizer's figures; at least one sentence."""
    metrics, quantizer = tokenizer.metrics, tokenizer.config.quantizer
    found = [
        *_faiss(metrics, tokenizer.config.autoencoder.network),
        *_by_heart(metrics, tokenizer.config.autoencoder.network),
        *_unused(metrics, quantizer.codebook_size),
        *_shared(metrics, tokenizer.config.policy),
        *_single(metrics, quantizer.codebook_size),
    ]
    return found or [HEALTHY]


def told_end(metrics: Mapping[str, Any], steps: int) -> str | None:
    """Return why training stopped before its last step; None if it did not.

    Args:
        steps: number of steps that were asked for, with the warm-up.
    """
    history = metrics.get("history") or []
    if not history or not 0 < history[-1]["step"] < steps:
        return None
    last, best = history[-1]["step"], metrics["best_step"]
    if last == best:
        return f"stopped early at step {last:,}: nothing is left to gain"
    return (
        f"stopped early at step {last:,}: the validation error has not fallen for "
        f"{last - best:,} steps; step {best:,} is kept"
    )


def _faiss(metrics: Mapping[str, Any], network: str) -> list[str]:
    faiss = metrics.get("faiss_residual_quantizer") or {}
    ours, theirs = metrics["held_out_error"], faiss.get("held_out_error")
    if ours is None or theirs is None or theirs >= BETTER * ours:
        return []
    remedy = "a larger --search-beam"
    if network != "identity":
        remedy = "--network identity, if a low error matters more to you"
    told = f"FAISS's residual quantizer loses less ({theirs:.3f} held out, ours {ours:.3f})"
    return [f"{told}: try {remedy}"]


def _by_heart(metrics: Mapping[str, Any], network: str) -> list[str]:
    held_out, train = metrics["held_out_error"], metrics["train_error"]
    if held_out is None or held_out < BY_HEART * train or held_out < 0.01:
        return []
    told = f"new items lose more than those that trained ({held_out:.3f} against {train:.3f})"
    if network == "identity":
        return [f"{told}: the codewords fit their items too well; try more items"]
    remedy = "--network identity, fewer --steps, or more items"
    return [f"{told}: the network knows its items by heart; try {remedy}"]


def _unused(metrics: Mapping[str, Any], codebook_size: int) -> list[str]:
    if metrics["items"] < codebook_size:
        return []
    use = [(level["utilization"], at) for at, level in enumerate(metrics["levels"], start=1)]
    least, level = min(use)
    if least >= USED:
        return []
    told = (
        f"level {level} uses {least:.0%} of its codewords: try a smaller --codebook-size, or "
        f"another --quantizer (semid compare shows them side by side)"
    )
    return [told]


def _shared(metrics: Mapping[str, Any], policy: str) -> list[str]:
    share = 1 - metrics["unique_share"]
    if share <= 1 - UNIQUE:
        return []
    then = "a suffix tells them apart" if policy == "suffix" else "the later ones get other codes"
    told = (
        f"{share:.0%} of the items share their codes ({then}): try more --levels, or look with "
        f"semid check whether they share their text"
    )
    return [told]


def _single(metrics: Mapping[str, Any], codebook_size: int) -> list[str]:
    prefixes = metrics.get("prefixes") or []
    if len(prefixes) < 2 or prefixes[1]["single"] <= MOSTLY_SINGLE:
        return []
    better = proposed_shape(metrics["items"])
    if better.codebook_size >= codebook_size:
        return []
    told = (
        f"{prefixes[1]['single']:.0%} of the two-code prefixes are single items: where they "
        f"are to be shared, try --levels {better.levels} --codebook-size {better.codebook_size}"
    )
    return [told]
