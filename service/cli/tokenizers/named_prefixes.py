"""The table of prefixes that `semid inspect` prints."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.errors import InputError
from service.cli.terminal.console import errors, output, print_table
from service.cli.terminal.options import CATALOGUE, VECTORS, CacheOption, CatalogueOptions
from service.settings import option

if TYPE_CHECKING:
    import polars as pl

    from tokenizer.artifact import TokenizerArtifact
    from tokenizer.prefixes.naming import PrefixNamer

__all__ = ["PrefixOptions", "described_prefixes", "print_prefixes"]

SHOWN = 20
LONGEST = 60  # characters of a title


class PrefixOptions(CacheOption, CatalogueOptions):
    """The options that name prefixes."""

    ids: Path | None = option("IDs of items, from semid tokenize; names their prefixes.", None)
    items: Path | None = option(f"{CATALOGUE}; its titles give the words.", None)
    vectors: Path | None = option(VECTORS, None)
    below: str = option(
        "Prefix whose longer prefixes are named, such as 12-240.", "", name="--prefix"
    )


def described_prefixes(
    settings: PrefixOptions, tokenizer: "TokenizerArtifact"
) -> dict[str, Any] | None:
    """Return the prefixes below `--prefix` for JSON; None without `--ids`.

    Raises:
        InputError: `--items`, `--vectors` or `--prefix` stand without `--ids`, a file cannot be
            read, or no item has the prefix.
    """
    from tokenizer.ids.semantic_id import format_semantic_id, parse_prefix
    from tokenizer.prefixes.naming import sizes_by_depth

    if settings.ids is None:
        if settings.items or settings.vectors or settings.below:
            raise InputError("--items, --vectors and --prefix name prefixes of --ids; give --ids")
        return None
    quantizer = tokenizer.config.quantizer
    codes: tuple[int, ...] = ()
    if settings.below:
        codes = parse_prefix(settings.below, quantizer.levels, quantizer.codebook_size)
    table, namer = _namer(settings, tokenizer)
    found = namer.below(codes)
    if not found:
        raise InputError(
            f"--prefix {settings.below}: no item has a longer prefix; give the first codes of an "
            f"ID, fewer than {quantizer.levels}"
        )
    return {
        "prefix": settings.below,
        "chance": namer.chance,
        "depths": [asdict(each) for each in sizes_by_depth(namer.codes)],
        "prefixes": [
            {
                "prefix": format_semantic_id(each.codes),
                "items": each.items,
                "words": list(each.words),
                "central": {
                    "item_id": table["item_id"][each.central],
                    "title": table["title"][each.central],
                },
                "coherence": each.coherence,
            }
            for each in found
        ],
    }


def print_prefixes(described: dict[str, Any]) -> None:
    """Print what `described_prefixes` returned as tables."""
    print_table(
        ("codes", "prefixes", "median items", "largest", "single items"),
        [
            (d["length"], f"{d['prefixes']:,}", f"{d['median']:g}", f"{d['largest']:,}",
             f"{d['single']:.1%}")
            for d in described["depths"]
        ],
        "sizes of prefixes by depth",
    )  # fmt: skip
    shown = described["prefixes"][:SHOWN]
    chance = described["chance"]
    against = "" if chance is None else f"; coherence by chance {chance:.2f}"
    print_table(
        ("prefix", "items", "coherence", "words", "central item"),
        [
            (
                each["prefix"], f"{each['items']:,}",
                "–" if each["coherence"] is None else f"{each['coherence']:.2f}",
                ", ".join(each["words"]) or "–",
                (each["central"]["title"] or each["central"]["item_id"])[:LONGEST],
            )
            for each in shown
        ],
        f"{len(shown)} of {len(described['prefixes']):,} prefixes below "
        f"{described['prefix'] or 'the root'}{against}",
    )  # fmt: skip
    if chance is None:
        errors.print("no coherence: give --items whose texts are in the --cache, or --vectors")
    if len(shown) < len(described["prefixes"]):
        output.print("--prefix walks down; --json prints all")


def _namer(
    settings: PrefixOptions, tokenizer: "TokenizerArtifact"
) -> "tuple[pl.DataFrame, PrefixNamer]":
    """Return the items of `--ids` with their titles, and what names their prefixes."""
    import numpy as np
    import polars as pl

    from data_prep.embedding.embed import EmbeddingCache, default_cache_folder
    from data_prep.readers.catalogue import read_vectors
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline
    from tokenizer.prefixes.directions import known_directions
    from tokenizer.prefixes.naming import PrefixNamer

    assert settings.ids is not None
    pipeline = Pipeline(tokenizer)
    ids = read_ids(settings.ids, pipeline)
    if ids.is_empty():
        raise InputError(f"{settings.ids} has no items")
    items = None if settings.items is None else settings.read(settings.items, tokenizer.config)
    vectors = None if settings.vectors is None else read_vectors(settings.vectors)
    folder = settings.cache or default_cache_folder()
    directions = None
    if EmbeddingCache.is_there(folder):
        with EmbeddingCache(folder) as cache:
            directions = known_directions(ids["item_id"], items, vectors, pipeline, cache)
    else:
        directions = known_directions(ids["item_id"], items, vectors, pipeline, None)
    titles = (
        ids.select("item_id", title=pl.lit(None, pl.String()))
        if items is None
        else ids.select("item_id").join(
            items.select("item_id", "title"), on="item_id", how="left", maintain_order="left"
        )
    )
    codes = np.asarray(ids["codes"].to_list(), np.uint16)
    latents = pipeline.latents_of_codes(codes)
    return titles, PrefixNamer(codes, titles["title"].to_list(), latents, directions)
