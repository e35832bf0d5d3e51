"""`semid benchmark movielens`: the ablation by one command, on a release that is made here."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.service.cli.command import Command, refused


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "ml-made"
    folder.mkdir()
    draw = np.random.default_rng(0)
    rows = [
        f"{user},{movie},{draw.integers(1, 6)},{1000 * user + place}"
        for user in range(60)
        for place, movie in enumerate(draw.permutation(40)[:12])
    ]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows))
    movies = [f"{movie},Film {movie} ({1990 + movie % 9}),Drama|Comedy" for movie in range(40)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies))
    return folder


def test_the_ablation_has_four_tokenizers_beside_the_published_rows(
    semid: Command, release: Path, tmp_path: Path
) -> None:
    done = semid(
        "benchmark", "movielens", release.parent, "--ablation", "--preset", "smoke", "--encoder",
        "hashing", "--set", "steps=10", "--set", "batch_size=32", "--set", "search_beam=1",
        "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.errors
    records = [json.loads(path.read_text()) for path in (tmp_path / "out" / "records").iterdir()]
    named = {r["cell"]["tokenizer"] for r in records if r["cell"]["model"] == "dual-encoder"}
    ends = ("grit-3x16", "grit-3x16-no-radius", "grit-3x16-no-transform", "rqvae-3x16")
    assert named == set(ends)
    assert {record["cell"]["category"] for record in records} == {"ml-made"}
    settings = {
        r["cell"]["tokenizer"]: r["tokenizer"]["config"]["quantizer"]
        for r in records
        if r["cell"]["model"] == "dual-encoder"
    }
    assert settings["grit-3x16-no-radius"]["psi_max"] == 0
    assert settings["grit-3x16-no-transform"]["transform"] == "none"
    assert settings["grit-3x16"]["transform"] == "linear"
    for published in ("0.311", "0.287", "0.298", "0.272"):
        assert published in done.output
    refused(semid("benchmark", "movielens", tmp_path / "out", "--out", "o"), "no release")
