"""Vectors of a catalogue of any size: in pieces, to numbered parts, in constant memory."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_prep.embedding.embed import EmbeddingCache, embed
from data_prep.embedding.encoders import Encoder, load_encoder
from data_prep.embedding.model_settings import ModelSettings
from data_prep.parts.engines import Engine, Worker
from data_prep.parts.items import ItemParts, Piece
from data_prep.parts.run_folder import Manifest, RunFolder
from data_prep.parts.unique_rows import new_rows
from data_prep.progress import Progress
from data_prep.text import TextTemplate

__all__ = ["EmbedderOptions", "embed_parts"]

KIND = "vectors"


@dataclass(frozen=True)
class EmbedderOptions:
    """What a worker needs to begin; it can be pickled and makes a worker when it is called.

    Attributes:
        cache: folder that keeps the vectors of texts; None to keep none.
        batch_size: items in memory at once.
    """

    catalogue: ItemParts
    template: TextTemplate
    encoder: str
    device: str
    cache: Path | None
    batch_size: int
    settings: ModelSettings | None = None

    def __call__(self) -> Worker:
        """Load the encoder and return the worker."""
        encoder = load_encoder(self.encoder, self.device, settings=self.settings)
        return lambda piece: self._embedded(piece, encoder)

    def _embedded(self, piece: Piece, encoder: Encoder) -> pl.DataFrame:
        parts, fields = [], self.template.fields
        with nullcontext() if self.cache is None else EmbeddingCache(self.cache) as cache:
            for batch in self.catalogue.with_texts(piece, self.batch_size, fields):
                texts = self.template.render_all(batch.iter_rows(named=True))
                vectors = embed(texts, encoder, cache)
                dtype = pl.Array(pl.Float32, encoder.dimension)
                parts.append(
                    pl.DataFrame([batch["item_id"], pl.Series("vector", vectors, dtype=dtype)])
                )
        return pl.concat(parts)


def embed_parts(
    options: EmbedderOptions,
    out: Path,
    engine: Engine,
    part_rows: int,
    progress: Progress = lambda done: None,
    *,
    overwrite: bool = False,
) -> Manifest:
    """Embed the texts of a catalogue in parts; a stopped run goes on from the parts that are there.

    Args:
        out: folder of the parts; its manifest is written last.
        part_rows: rows of a part.
        overwrite: give up what the folder holds.

    Raises:
        InputError: an item is there twice or has no text; the folder holds another run.
    """
    encoder = load_encoder(options.encoder, options.device, settings=options.settings)
    catalogue = options.catalogue
    key = {
        **catalogue.key(),
        "text": options.template.model_dump(),
        "part_rows": part_rows,
    }
    folder = RunFolder(out, KIND, f"{encoder.name} {encoder.revision}", key)
    ended = folder.done()
    if ended is not None and not overwrite:
        return ended
    with folder.opened(overwrite=overwrite):
        new_rows(catalogue.items, catalogue.id_column, (), 0, folder.work)
        pieces: Sequence[Piece] = [
            Piece(number, first, end)
            for number, (first, end) in enumerate(catalogue.items.cuts(part_rows, inside=True))
        ]
        left = [piece for piece in pieces if not folder.has(folder.part_name(piece.number))]
        done = catalogue.items.rows - sum(piece.end - piece.first for piece in left)
        progress(done)
        for number, rows in engine.run(options, left):
            folder.write_part(number, rows)
            progress(rows.height)
        return folder.finish(len(pieces))
