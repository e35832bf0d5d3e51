"""Measures of the meaning that codes keep: the items' neighbours and categories."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["neighbours_kept", "prefix_meaning"]

NEIGHBOURS = 10
MOST_QUERIES = 1000


def neighbours_kept(vectors: Tensor, decoded: Tensor, seed: int) -> float:
    """Return the share of an item's ten nearest items that are also nearest after decoding.

    Nearness is the cosine between centred vectors. `seed` draws up to 1,000 items as queries.

    Args:
        vectors, decoded: (n, D), before and after quantization.
    """
    mean = vectors.mean(0)
    before, after = (torch.nn.functional.normalize(part - mean) for part in (vectors, decoded))
    k = min(NEIGHBOURS, len(vectors) - 1)
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    kept = 0
    queries = order[:MOST_QUERIES]
    for chunk in torch.split(queries, 100):
        nearest = []
        for part in (before, after):
            closeness = part[chunk] @ part.T
            closeness[torch.arange(len(chunk)), chunk] = -torch.inf
            nearest.append(closeness.topk(k).indices)
        kept += int((nearest[0].unsqueeze(2) == nearest[1].unsqueeze(1)).sum())
    return kept / (k * len(queries))


def prefix_meaning(codes: Tensor, labels: Sequence[str], seed: int) -> list[dict[str, float]]:
    """Return, for each prefix length, how much a prefix says about the item's category.

    `score` is the normalised mutual information of prefixes and labels. `shuffled` is the same for
    labels in random order: long prefixes are nearly unique and seem to explain any labels. Items
    without a label are left out.

    Args:
        codes: (n, L).
        labels: (n,).
    """
    from sklearn.metrics import normalized_mutual_info_score

    labelled = np.asarray([bool(label) for label in labels])
    names = np.asarray(labels, dtype=object)[labelled].astype(str)
    rows = codes.numpy()[labelled]
    dealt = np.random.default_rng(seed).permutation(names)
    meaning = []
    for length in range(1, codes.shape[1] + 1):
        if not len(rows):
            meaning.append({"score": 0.0, "shuffled": 0.0})
            continue
        _, prefixes = np.unique(rows[:, :length], axis=0, return_inverse=True)
        meaning.append(
            {
                "score": float(normalized_mutual_info_score(names, prefixes.ravel())),
                "shuffled": float(normalized_mutual_info_score(dealt, prefixes.ravel())),
            }
        )
    return meaning
