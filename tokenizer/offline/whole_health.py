"""How a tokenizer codes a whole catalogue, measured in one streamed pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.parts.engines import Engine
from data_prep.parts.items import Piece
from data_prep.progress import Progress
from tokenizer.offline.coding_worker import CoderOptions
from tokenizer.pipeline import Pipeline

__all__ = ["whole_health"]


def whole_health(
    options: CoderOptions,
    pipeline: Pipeline,
    engine: Engine,
    part_rows: int,
    progress: Progress = lambda done: None,
) -> dict[str, Any]:
    """Code every item of a catalogue in parts, and measure the use of the levels.

    It takes 2 L bytes of memory an item.

    Returns:
        `items`; `error`, the mean distortion; `unique_share`, the share of items whose codes no
            other item has; and for each level `utilization`, `dead_codes` and `perplexity`.
    """
    import torch

    from tokenizer.training.health import level_health

    catalogue = options.catalogue
    pieces = [
        Piece(number, first, end)
        for number, (first, end) in enumerate(
            catalogue.items.cuts(part_rows, inside=not catalogue.has_vectors())
        )
    ]
    codes: list[NDArray[np.uint16]] = []
    lost = 0.0
    for _, rows in engine.run(options, pieces):
        codes.append(rows["codes"].to_numpy())
        lost += float(rows["distortion"].cast(float).sum())
        progress(rows.height)
    every = np.concatenate(codes)
    size = pipeline.codebook_size
    levels = [
        level_health(torch.from_numpy(every[:, [level]].astype(np.int64)), size)[0]
        for level in range(pipeline.levels)
    ]
    return {
        "items": len(every),
        "error": lost / len(every),
        "unique_share": _unique_share(every),
        "levels": [level.as_dict() for level in levels],
    }


def _unique_share(codes: NDArray[np.uint16]) -> float:
    order = np.lexsort(codes.T[::-1])
    differs = (codes[order[1:]] != codes[order[:-1]]).any(axis=1)
    alone = np.r_[True, differs] & np.r_[differs, True]
    return float(alone.mean())
