"""A small tokenizer and its IDs, made by the commands that a user types."""

from pathlib import Path

from tests.e2e.server import run_semid

__all__ = ["fit_and_tokenize"]


def fit_and_tokenize(folder: Path, tokenizer: str, ids: str) -> None:
    """Fit a tokenizer of 3 × 32 codes to `items.parquet` of a folder, and write the items' IDs."""
    items, cache = folder / "items.parquet", folder / "cache"
    run_semid(
        "fit", items, "--encoder", "hashing", "--cache", cache,
        "--set", "steps=60", "--set", "warmup_steps=20", "--set", "levels=3",
        "--set", "codebook_size=32", "--out", folder / tokenizer,
    )  # fmt: skip
    run_semid(
        "tokenize", items, "--tokenizer", folder / tokenizer, "--cache", cache,
        "--out", folder / ids,
    )  # fmt: skip
