"""`semid compare` and `semid ablate`: rows, records, pictures, and going on."""

import json
from pathlib import Path

import pytest

from data_prep.errors import InputError
from tests.service.cli.command import Command, refused
from tokenizer.config import FitConfig
from tokenizer.options import check_training, fitted_to_size, options_for, with_options
from tokenizer.quantizer_config import GritConfig, VqConfig
from tokenizer.quantizers import QUANTIZERS
from tokenizer.study.ablations import STUDIES

TINY = ("--encoder", "hashing", "--steps", 4, "--seeds", 1)


def test_compare_keeps_each_run_and_goes_on(semid: Command, catalogue: Path) -> None:
    compare = (
        "compare", catalogue, "--out", "c", "--encoder", "hashing", "--codebook-size", 16,
        "--levels", 2, "--steps", 20, "--set", "warmup_steps=5", "--seeds", 2,
    )  # fmt: skip
    assert semid(*compare, "--quantizers", "grit,ste").code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("c/runs").iterdir()}
    assert len(before) == 4
    told = semid(*compare, "--quantizers", "grit,ste,kmeans")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = json.loads(Path("c/summary.json").read_text())
    assert {row["name"] for row in rows} == {"grit", "ste", "kmeans"}
    errors = [row["validation_error"]["mean"] for row in rows]
    assert errors == sorted(errors)
    cells = Path("c/summary.md").read_text().splitlines()[2].split(" | ")
    assert cells[1].startswith("**")
    assert not cells[2].startswith("**")  # nothing is chosen by held-out items
    assert all(row["seeds"] == 2 and row["held_out_error"]["std"] >= 0 for row in rows)
    assert Path("c/summary.md").read_text() in told.output
    for name in ("errors.png", "curves.png", "rate-distortion.png"):
        assert Path("c", name).read_bytes().startswith(b"\x89PNG")
    compare = (*compare[:2], "--out", "one", *compare[4:-1], 1)
    assert semid(*compare, "--quantizers", "ste").code == 0
    assert "NaN" not in Path("one/summary.json").read_text()  # which JSON does not have
    run = json.loads(Path("c/runs/grit-seed1.json").read_text())
    assert run["config"]["seed"] == 1
    points = run["rate_distortion"]
    assert [point["bits"] for point in points] == [4, 8]
    assert points[1]["held_out_error"] == pytest.approx(run["held_out_error"])
    assert run["prefix_meaning"][0]["score"] > run["prefix_meaning"][0]["shuffled"]
    refused(semid(*compare, "--quantizers", "grid"), "unknown quantizer 'grid'", "'grit'")


def test_shared_options_reach_the_variants_that_have_them() -> None:
    shared = {"radius": "huber", "commitment": "0.5", "steps": "7"}
    assert options_for("ste", shared) == {"commitment": "0.5", "steps": "7"}
    assert options_for("grit", shared) == shared
    config = with_options(FitConfig(), {"quantizer": "ste", **options_for("ste", shared)})
    assert config.quantizer == VqConfig("ste", commitment=0.5)
    back = with_options(config, {"quantizer": "grit"})
    assert back.quantizer == GritConfig(commitment=0.5)


def test_all_quantizers_run_on_the_vectors_themselves_with_a_beam(
    semid: Command, catalogue: Path
) -> None:
    """Variants without a search by distance keep their own way of coding."""
    told = semid(
        "compare", catalogue, "--out", "all", *TINY, "--codebook-size", 16, "--levels", 2,
        "--set", "network=identity", "--set", "search_beam=3",
    )  # fmt: skip
    assert told.code == 0, told.errors
    rows = json.loads(Path("all/summary.json").read_text())
    assert {row["name"] for row in rows} == set(QUANTIZERS) - {"rqvae"}
    beams = {
        name: json.loads(Path(f"all/runs/{name}-seed0.json").read_text())["config"]["quantizer"]
        for name in ("grit", "fsq")
    }
    assert beams["grit"]["search_beam"] == 3
    assert beams["fsq"]["search_beam"] == 1


def test_rows_are_tuned_before_they_are_compared(semid: Command, catalogue: Path) -> None:
    small = ("--encoder", "hashing", "--steps", 9, "--set", "codebook_size=8", "--set",
             "levels=2", "--set", "warmup_steps=2", "--set", "hidden=16")  # fmt: skip
    told = semid("tune", catalogue, "--quantizer", "diveq", "--trials", 4, "--out", "t", *small)
    assert told.code == 0, told.errors
    found = json.loads(Path("t/tuning.json").read_text())["diveq"]
    assert [trial["steps"] for trial in found["trials"]] == [3, 3, 3, 3]
    assert set(found["options"]) <= {"learning_rate", "codebook_learning_rate", "noise_variance"}
    compare = ("compare", catalogue, "--out", "t", "--quantizers", "diveq,ste", "--seeds", 1)
    told = semid(*compare, *small, "--codebook-size", 8, "--levels", 2, "--tune", 4)
    assert told.code == 0, told.errors
    run = json.loads(Path("t/runs/diveq-seed0.json").read_text())
    for name, value in found["options"].items():
        owner = run["config"]["quantizer"] if name == "noise_variance" else run["config"]
        assert owner[name] == value
    assert run["config"]["steps"] == 9
    assert len(run["held_out_losses"]) > 0
    assert sum(run["held_out_losses"]) / len(run["held_out_losses"]) == pytest.approx(
        run["held_out_error"], rel=1e-3
    )


def test_an_ablation_changes_one_thing_a_row(semid: Command, catalogue: Path) -> None:
    told = semid(
        "ablate", catalogue, "--study", "levels", "--out", "a", *TINY,
        "--set", "codebook_size=8", "--set", "hidden=32", "--set", "warmup_steps=2",
    )  # fmt: skip
    assert told.code == 0, told.errors
    rows = {row["name"]: row for row in json.loads(Path("a/summary.json").read_text())}
    assert set(rows) == set(STUDIES["levels"])
    record = json.loads(Path("a/runs/L-6-seed0.json").read_text())
    assert record["config"]["quantizer"]["levels"] == 6
    assert record["config"]["quantizer"]["codebook_size"] == 8
    assert record["config"]["autoencoder"]["hidden"] == [32]
    taught = semid("ablate", "--help").output
    assert all(name in taught for name in STUDIES)
    refused(semid("ablate", catalogue, "--study", "radios", "--out", "a"), "did you mean 'radius'")


@pytest.mark.parametrize("study", sorted(STUDIES))
def test_every_row_of_every_study_can_be_built(study: str) -> None:
    for changes in STUDIES[study].values():
        config = fitted_to_size(with_options(FitConfig(), changes))
        check_training(config)


def test_wrong_fields_are_named(semid: Command, catalogue: Path) -> None:
    fit = ("fit", catalogue, "--out", "tok", "--encoder", "hashing")
    refused(semid(*fit, "--set", "radius"), "NAME=VALUE")
    compare = ("compare", catalogue, "--out", "c", "--encoder", "hashing", "--quantizers", "ste")
    refused(semid(*compare, "--set", "seed=3"), "--seeds")
    refused(semid(*compare, "--set", "codebook_learning_rate=1e25"), "ste, seed 0, stopped")
    refused(semid(*fit, "--set", "radios=huber"), "unknown option 'radios'", "'radius'")
    refused(
        semid(*fit, "--quantizer", "ste", "--set", "radius=huber"),
        "ste has no option 'radius'; it has codebook_size, codebook_weight, commitment",
    )
    refused(semid(*fit, "--quantizer", "ste", "--set", "commitmet=1"), "known are batch_size")
    refused(semid(*compare, "--set", "radios=huber"), "unknown option 'radios'", "'radius'")
    refused(semid(*fit, "--set", "radius=hubert"), "unknown radius 'hubert'", "'huber'")
    refused(semid(*fit, "--set", "levels=four"), "levels=four is not a whole number")
    refused(semid(*fit, "--set", "row_norm=maybe"), "row_norm=maybe is not true or false")
    refused(semid(*fit, "--set", "codebook_size=70000"), "codebook_size 70000 is outside 2…65536")
    refused(semid(*fit, "--set", "network=cnn"), "unknown network 'cnn'", "identity, linear, mlp")


@pytest.mark.parametrize(
    "option",
    ["levels=0", "batch_size=0", "evaluate_every=0", "held_out=1", "hidden=64,0", "dropout=1.5",
     "learning_rate=nan", "learning_rate=0", "seed=-1", "decay=2", "spectral_clip=0",
     "noise_variance=-1", "commitment=inf"],
)  # fmt: skip
def test_values_out_of_bounds_are_named(option: str) -> None:
    """What --set says is held to the bounds that options of their own have."""
    name, _, value = option.partition("=")
    variant = "diveq" if name == "noise_variance" else "grit"
    with pytest.raises(InputError, match=f"{name} .* is outside"):
        check_training(with_options(FitConfig(), {"quantizer": variant, name: value}))
