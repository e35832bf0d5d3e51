"""Published figures of the Amazon benchmark of 2014: leave-one-out, all items ranked."""

__all__ = ["COMPARABLE", "PUBLISHED", "Figures"]

Figures = tuple[float, float]  # recall@10, ndcg@10
_CATEGORIES = ("Beauty", "Sports_and_Outdoors", "Toys_and_Games")


def _row(*figures: Figures | None) -> dict[str, Figures]:
    return {c: f for c, f in zip(_CATEGORIES, figures, strict=True) if f is not None}


# GRIT-VQ: arXiv 2602.01140, Table 5. TIGER: NeurIPS 2023, Table 1. RPG: KDD 2025, with
# text-embedding-3-large. ActionPiece: ICML 2025. SASRec-CE: RecSys 2023's loss, as others ran it.
PUBLISHED: dict[str, dict[str, Figures]] = {
    "GRIT-VQ paper: dense ID": _row((0.060, 0.034), (0.037, 0.020), (0.070, 0.039)),
    "GRIT-VQ paper: LSH": _row((0.058, 0.033), (0.036, 0.019), (0.068, 0.038)),
    "GRIT-VQ paper: k-means + STE": _row((0.061, 0.035), (0.038, 0.021), (0.071, 0.040)),
    "GRIT-VQ paper: VQ-VAE": _row((0.063, 0.036), (0.039, 0.021), (0.072, 0.041)),
    "GRIT-VQ paper: RQ-VAE": _row((0.065, 0.038), (0.040, 0.022), (0.074, 0.043)),
    "GRIT-VQ paper: SimpleVQ": _row((0.064, 0.039), (0.040, 0.022), (0.075, 0.041)),
    "GRIT-VQ paper: NSVQ / DiVeQ": _row((0.064, 0.035), (0.041, 0.023), (0.072, 0.044)),
    "GRIT-VQ paper: GRIT-VQ": _row((0.068, 0.040), (0.042, 0.024), (0.077, 0.045)),
    "TIGER": _row((0.0648, 0.0384), (0.0400, 0.0225), (0.0712, 0.0432)),
    "ActionPiece": _row((0.0775, 0.0424), (0.0500, 0.0264), None),
    "RPG": _row((0.0809, 0.0464), (0.0463, 0.0263), (0.0869, 0.0490)),
    "SASRec, full cross-entropy": _row((0.0859, 0.0503), None, None),
}

# The published row that is made in the way of a model, or of a quantizer under TIGER.
COMPARABLE = {
    "sasrec": "SASRec, full cross-entropy",
    "sasrec-repeats": "SASRec, full cross-entropy",
    "lsh": "GRIT-VQ paper: LSH",
    "kmeans": "GRIT-VQ paper: k-means + STE",
    "rqvae": "GRIT-VQ paper: RQ-VAE",
    "simvq": "GRIT-VQ paper: SimpleVQ",
    "nsvq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "diveq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "grit": "GRIT-VQ paper: GRIT-VQ",
}
