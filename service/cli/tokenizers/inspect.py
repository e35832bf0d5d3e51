"""`semid inspect`: how well a tokenizer's codes are used."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from service.cli.terminal.console import output, print_json
from service.cli.terminal.options import JsonOption
from service.settings import argument

if TYPE_CHECKING:
    from tokenizer.artifact import TokenizerArtifact

__all__ = ["InspectSettings", "inspect", "print_health"]


class InspectSettings(JsonOption):
    """The options of `semid inspect`."""

    command = "inspect"

    tokenizer: Path = argument("Folder that semid fit wrote.")


def inspect(settings: InspectSettings) -> None:
    """Check a tokenizer's files and show how well its codes are used and how much they lose.

    Utilization: share of a level's codewords that at least one item uses. Perplexity: the number of
    codewords that would give the same entropy if used evenly. Error: share of the vectors' variance
    that the codes lose.
    """
    from tokenizer.artifact import load

    loaded = load(settings.tokenizer)
    if not settings.as_json:
        output.print(f"{settings.tokenizer}: tokenizer {loaded.fingerprint}")
        print_health(loaded)
        return
    print_json(loaded.described())


def print_health(tokenizer: "TokenizerArtifact") -> None:
    """Print a tokenizer's figures as tables."""
    metrics, quantizer = tokenizer.metrics, tokenizer.config.quantizer
    levels = Table(
        title=f"{metrics['items']:,} items, {quantizer.levels} × {quantizer.codebook_size}"
    )
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


def _error(measured: float | None) -> str:
    return "none held out" if measured is None else f"{measured:.3f}"
