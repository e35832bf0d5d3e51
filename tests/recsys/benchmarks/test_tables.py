"""Which systems of a benchmark are tested against which."""

from recsys.benchmarks.tables import _pairs


def test_tokenizers_meet_those_of_their_length_and_lengths_meet_by_their_first() -> None:
    names = ["grit-4x256", "kmeans-4x256", "grit-8x256", "kmeans-8x256", "rqvae-8x256"]
    names.append("kmeans-8x256-identity-beam5")
    systems = dict.fromkeys([*(f"d · {name}" for name in names), "sasrec", "sasrec-repeats"])
    first = {("d", "4x256"): "d · grit-4x256", ("d", "8x256"): "d · grit-8x256"}
    assert _pairs(systems, first) == [
        ("d · grit-4x256", "d · kmeans-4x256"),
        ("d · grit-8x256", "d · kmeans-8x256"),
        ("d · grit-8x256", "d · rqvae-8x256"),
        ("d · grit-8x256", "d · kmeans-8x256-identity-beam5"),
        ("d · grit-8x256", "d · grit-4x256"),
        ("sasrec-repeats", "sasrec"),
        ("d · grit-4x256", "sasrec"),
        ("d · grit-8x256", "sasrec"),
    ]


def test_what_learns_repeats_meets_the_same_without_and_the_dense_ids_that_learn_them() -> None:
    names = ["d", "d-repeats"]
    systems = dict.fromkeys(
        [*(f"{name} · grit-4x256" for name in names), "sasrec", "sasrec-repeats", "co-occurrence"]
    )
    first = {(name, "4x256"): f"{name} · grit-4x256" for name in names}
    assert _pairs(systems, first) == [
        ("sasrec", "co-occurrence"),
        ("sasrec-repeats", "sasrec"),
        ("sasrec-repeats", "co-occurrence"),
        ("d · grit-4x256", "sasrec"),
        ("d · grit-4x256", "co-occurrence"),
        ("d-repeats · grit-4x256", "d · grit-4x256"),
        ("d-repeats · grit-4x256", "sasrec-repeats"),
        ("d-repeats · grit-4x256", "co-occurrence"),
    ]
