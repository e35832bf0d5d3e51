"""Published figures of the Amazon benchmark of 2014, each with the candidates that were ranked.

All are leave-one-out. Some rank all items, some leave the items of the user's history out, which
is easier; figures of the two kinds cannot be compared.
"""

from dataclasses import dataclass

from recsys.evaluation.full_ranking import Candidates

__all__ = ["COMPARABLE", "PUBLISHED", "SHOWN", "Figures", "PublishedRow"]

SHOWN = ("recall@10", "ndcg@10")  # the metrics of tables and pictures
Figures = tuple[float, float]  # of `SHOWN`
_CATEGORIES = ("Beauty", "Sports_and_Outdoors", "Toys_and_Games")


@dataclass(frozen=True)
class PublishedRow:
    """The figures of one published method.

    Attributes:
        candidates: which items were ranked; None where the source does not say.
        figures: by category.
    """

    candidates: Candidates | None
    figures: dict[str, Figures]


def _row(candidates: Candidates | None, *figures: Figures | None) -> PublishedRow:
    pairs = zip(_CATEGORIES, figures, strict=True)
    return PublishedRow(candidates, {name: pair for name, pair in pairs if pair is not None})


# GRIT-VQ: arXiv 2602.01140, Table 5. TIGER: NeurIPS 2023, Table 1. ActionPiece: ICML 2025.
# RPG: KDD 2025, with text-embedding-3-large.
# SASRec, full cross-entropy: the loss of RecSys 2023, as others ran it with the history left out.
# SASRec, sampled softmax, and eSASRec (RecSys 2025): blondered/transformer_benchmark on GitHub,
# which filters the items that the user has viewed.
PUBLISHED: dict[str, PublishedRow] = {
    "GRIT-VQ paper: dense ID": _row(None, (0.060, 0.034), (0.037, 0.020), (0.070, 0.039)),
    "GRIT-VQ paper: LSH": _row(None, (0.058, 0.033), (0.036, 0.019), (0.068, 0.038)),
    "GRIT-VQ paper: k-means + STE": _row(None, (0.061, 0.035), (0.038, 0.021), (0.071, 0.040)),
    "GRIT-VQ paper: VQ-VAE": _row(None, (0.063, 0.036), (0.039, 0.021), (0.072, 0.041)),
    "GRIT-VQ paper: RQ-VAE": _row(None, (0.065, 0.038), (0.040, 0.022), (0.074, 0.043)),
    "GRIT-VQ paper: SimpleVQ": _row(None, (0.064, 0.039), (0.040, 0.022), (0.075, 0.041)),
    "GRIT-VQ paper: NSVQ / DiVeQ": _row(None, (0.064, 0.035), (0.041, 0.023), (0.072, 0.044)),
    "GRIT-VQ paper: GRIT-VQ": _row(None, (0.068, 0.040), (0.042, 0.024), (0.077, 0.045)),
    "TIGER": _row(None, (0.0648, 0.0384), (0.0400, 0.0225), (0.0712, 0.0432)),
    "ActionPiece": _row(None, (0.0775, 0.0424), (0.0500, 0.0264), None),
    "RPG": _row("all", (0.0809, 0.0464), (0.0463, 0.0263), (0.0869, 0.0490)),
    "SASRec, full cross-entropy": _row("without_history", (0.0859, 0.0503), None, None),
    "SASRec, sampled softmax": _row(
        "without_history", (0.0921, 0.0531), (0.0569, 0.0314), (0.0970, 0.0580)
    ),
    "eSASRec": _row("without_history", (0.0928, 0.0523), (0.0560, 0.0323), (0.0939, 0.0538)),
}

# The published row of the same model, or of the same quantizer under TIGER.
COMPARABLE = {
    "sasrec": "SASRec, full cross-entropy",
    "sasrec-repeats": "SASRec, full cross-entropy",
    "esasrec": "eSASRec",
    "dense": "GRIT-VQ paper: dense ID",
    "ema": "GRIT-VQ paper: VQ-VAE",
    "lsh": "GRIT-VQ paper: LSH",
    "kmeans": "GRIT-VQ paper: k-means + STE",
    "rqvae": "GRIT-VQ paper: RQ-VAE",
    "simvq": "GRIT-VQ paper: SimpleVQ",
    "nsvq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "diveq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "grit": "GRIT-VQ paper: GRIT-VQ",
}
