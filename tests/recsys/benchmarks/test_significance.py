"""Which systems of a benchmark are tested against which."""

from recsys.benchmarks.significance import _pairs


def test_a_tokenizer_is_tested_against_its_shape_and_shapes_by_their_first() -> None:
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


def test_a_model_is_tested_against_itself_without_its_last_end_and_against_content() -> None:
    names = ["d", "d-nearness", "d-nearness-new"]
    systems = dict.fromkeys([*(f"{name} · grit-4x256" for name in names), "nearest-content"])
    first = {(name, "4x256"): f"{name} · grit-4x256" for name in names}
    assert _pairs(systems, first) == [
        ("d · grit-4x256", "nearest-content"),
        ("d-nearness · grit-4x256", "d · grit-4x256"),
        ("d-nearness · grit-4x256", "nearest-content"),
        ("d-nearness-new · grit-4x256", "d-nearness · grit-4x256"),
        ("d-nearness-new · grit-4x256", "nearest-content"),
    ]


def test_a_model_that_learns_repeats_is_tested_against_itself_without_and_sasrec_with_them() -> (
    None
):
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
