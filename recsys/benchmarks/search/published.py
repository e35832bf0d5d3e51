"""Published figures of search, each with its protocol."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["COMPARABLE", "PROTOCOLS", "PUBLISHED", "SHOWN_PUBLISHED", "PublishedSearch"]


@dataclass(frozen=True)
class PublishedSearch:
    """The figures of a published method on one data set, by metric."""

    protocol: str
    figures: Mapping[str, float]


PROTOCOLS = {
    "G.4": "GRIT-VQ (arXiv 2602.01140), Table 5(b): whole corpus ranked; the split, the locale and "
    "the training of its queries are not stated, and nobody has repeated it",
    "us, 22,458 queries": "ESCI us, large version: 1.2 million products ranked, labels E, test "
    "queries; copied from a public repository",
}


def _paper(esci: tuple[float, float], jdsearch: tuple[float, float]) -> dict[str, PublishedSearch]:
    return {
        name: PublishedSearch("G.4", dict(zip(("recall@50", "recall@100"), pair, strict=True)))
        for name, pair in (("esci", esci), ("jdsearch", jdsearch))
    }


def _untuned(recall: float) -> dict[str, PublishedSearch]:
    return {"esci": PublishedSearch("us, 22,458 queries", {"recall@10": recall})}


# By method and data set.
PUBLISHED: dict[str, dict[str, PublishedSearch]] = {
    "GRIT-VQ paper: dense ID": _paper((0.412, 0.463), (0.286, 0.331)),
    "GRIT-VQ paper: LSH": _paper((0.418, 0.470), (0.291, 0.338)),
    "GRIT-VQ paper: k-means + STE": _paper((0.427, 0.478), (0.297, 0.343)),
    "GRIT-VQ paper: VQ-VAE": _paper((0.430, 0.482), (0.301, 0.348)),
    "GRIT-VQ paper: RQ-VAE": _paper((0.441, 0.493), (0.309, 0.370)),
    "GRIT-VQ paper: SimpleVQ": _paper((0.454, 0.503), (0.316, 0.363)),
    "GRIT-VQ paper: NSVQ / DiVeQ": _paper((0.452, 0.507), (0.320, 0.368)),
    "GRIT-VQ paper: GRIT-VQ": _paper((0.458, 0.513), (0.327, 0.374)),
    "MiniLM vectors, untuned": _untuned(0.156),
    "BM25": _untuned(0.203),
    "best reranking": _untuned(0.236),
}

# The data set's authors (Liu et al., SIGIR 2023): the shown products put in order.
SHOWN_PUBLISHED: dict[str, dict[str, float]] = {
    "BM25": {"mrr": 0.1114, "precision": 0.0402, "ndcg": 0.0940},
    "QEM": {"mrr": 0.1774, "precision": 0.0728, "ndcg": 0.1705},
    "HEM": {"mrr": 0.1955, "precision": 0.0847, "ndcg": 0.1905},
    "AEM": {"mrr": 0.1971, "precision": 0.0851, "ndcg": 0.1920},
    "ZAM": {"mrr": 0.1969, "precision": 0.0849, "ndcg": 0.1920},
    "TEM": {"mrr": 0.2229, "precision": 0.1049, "ndcg": 0.2192},
}

# The paper's row of a method of ours: by model, or by quantizer under the dual encoder.
COMPARABLE = {
    "dual-encoder-dense": "GRIT-VQ paper: dense ID",
    "lsh": "GRIT-VQ paper: LSH",
    "kmeans": "GRIT-VQ paper: k-means + STE",
    "ema": "GRIT-VQ paper: VQ-VAE",
    "rqvae": "GRIT-VQ paper: RQ-VAE",
    "simvq": "GRIT-VQ paper: SimpleVQ",
    "nsvq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "diveq": "GRIT-VQ paper: NSVQ / DiVeQ",
    "grit": "GRIT-VQ paper: GRIT-VQ",
}
