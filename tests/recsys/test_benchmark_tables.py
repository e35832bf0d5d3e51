"""Which systems of a benchmark are tested against which."""

from recsys.benchmarks.tables import _pairs


def test_tokenizers_meet_those_of_their_length_and_lengths_meet_by_their_first() -> None:
    names = ["grit-4x256", "kmeans-4x256", "grit-8x256", "kmeans-8x256", "rqvae-8x256"]
    systems = dict.fromkeys([*(f"d · {name}" for name in names), "sasrec"])
    first = {("d", "4x256"): "d · grit-4x256", ("d", "8x256"): "d · grit-8x256"}
    assert _pairs(systems, first) == [
        ("d · grit-4x256", "d · kmeans-4x256"),
        ("d · grit-8x256", "d · kmeans-8x256"),
        ("d · grit-8x256", "d · rqvae-8x256"),
        ("d · grit-8x256", "d · grit-4x256"),
        ("d · grit-4x256", "sasrec"),
        ("d · grit-8x256", "sasrec"),
    ]
