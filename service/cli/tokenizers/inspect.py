"""`semid inspect`: how well a tokenizer's codes are used."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from service.cli.terminal.console import output, print_json
from service.cli.terminal.options import JsonOption
from service.cli.tokenizers.named_prefixes import (
    PrefixOptions,
    described_prefixes,
    print_prefixes,
)
from service.settings import argument

if TYPE_CHECKING:
    from tokenizer.artifact import TokenizerArtifact

__all__ = ["InspectSettings", "inspect", "print_health"]


class InspectSettings(PrefixOptions, JsonOption):
    """The options of `semid inspect`."""

    command = "inspect"

    tokenizer: Path = argument("Folder that semid fit wrote.")


def inspect(settings: InspectSettings) -> None:
    """Check a tokenizer's files and show how well its codes are used and how much they lose.

    Utilization: share of a level's codewords that at least one item uses. Perplexity: the number of
    codewords that would give the same entropy if used evenly. Error: share of the vectors' variance
    that the codes lose.

    With --ids it also names the prefixes of the items: by the words of their titles, by the item
    nearest to the mean, and by their coherence, the mean cosine of pairs of items.

    Example: semid inspect tokenizers/beauty --ids beauty-ids.parquet --items items.parquet
    """
    from tokenizer.advice.tokenizer_verdicts import tokenizer_verdicts
    from tokenizer.artifact import load

    loaded = load(settings.tokenizer)
    prefixes = described_prefixes(settings, loaded)
    if not settings.as_json:
        output.print(f"{settings.tokenizer}: tokenizer {loaded.name}, {loaded.fingerprint}")
        print_health(loaded)
        if prefixes is not None:
            print_prefixes(prefixes)
        return
    told = {**loaded.described(), "verdicts": tokenizer_verdicts(loaded)}
    print_json(told | ({} if prefixes is None else {"prefixes": prefixes}))


def print_health(tokenizer: "TokenizerArtifact") -> None:
    """Print a tokenizer's figures as tables, and what they mean."""
    from tokenizer.advice.tokenizer_verdicts import tokenizer_verdicts

    metrics, quantizer = tokenizer.metrics, tokenizer.config.quantizer
    levels = Table(title=f"{_items(metrics)}, {quantizer.levels} × {quantizer.codebook_size}")
    for heading in ("level", "utilization", "dead codes", "perplexity"):
        levels.add_column(heading, justify="right")
    for number, level in enumerate(metrics["levels"], start=1):
        levels.add_row(
            str(number),
            f"{level['utilization']:.1%}",
            str(level["dead_codes"]),
            f"{level['perplexity']:.1f}",
        )
    output.print(levels)
    errors = Table(title="relative reconstruction error")
    for heading in ("quantizer", "training items", "held-out items", "seconds"):
        errors.add_column(heading, justify="right")
    errors.add_row(
        quantizer.name,
        f"{metrics['train_error']:.3f}",
        _error(metrics["held_out_error"]),
        f"{metrics['training_seconds']:.0f}",
    )
    faiss = metrics.get("faiss_residual_quantizer")
    if faiss and "skipped" not in faiss:
        errors.add_row(
            f"faiss {faiss['levels']} × {faiss['bits']} bits, beam {faiss['beam']}",
            f"{faiss['train_error']:.3f}",
            _error(faiss["held_out_error"]),
            f"{faiss['seconds']:.0f}",
        )
    output.print(errors)
    output.print(
        f"items with unique codes: {metrics['unique_share']:.2%}; "
        f"policy for the others: {tokenizer.config.policy}"
    )
    if "catalogue" in metrics:
        every = metrics["catalogue"]
        used = ", ".join(f"{level['utilization']:.1%}" for level in every["levels"])
        output.print(
            f"all {every['items']:,} items: error {every['error']:.3f}, unique codes "
            f"{every['unique_share']:.2%}, utilization by level {used}"
        )
    for verdict in tokenizer_verdicts(tokenizer):
        output.print(f"verdict: {verdict}")


def _items(metrics: Mapping[str, Any]) -> str:
    told = f"{metrics['items']:,} items"
    return f"{told} of {metrics['sampled_from']:,}" if "sampled_from" in metrics else told


def _error(measured: float | None) -> str:
    return "none held out" if measured is None else f"{measured:.3f}"
