"""`semid images`: trains, compares and ablates on a folder of images, and tells what it did."""

import json
from pathlib import Path

from tests.service.cli.command import Command, refused
from tests.tokenizer.images.pictures import written

SMALL = (
    "--size", 16, "--classifier-steps", 2, "--held-out", 0.3, "--steps", 3,
    *(
        part
        for option in (
            "warmup_steps=2", "batch_size=8", "channels=8", "latent=8", "prior_steps=2",
            "prior_width=16", "prior_heads=2", "prior_layers=1", "samples=4", "measurements=1",
        )
        for part in ("--set", option)
    ),
)  # fmt: skip
SIZES = ("--grid", 4, "--codebook-size", 32)


def test_images_are_trained_on_compared_and_told(semid: Command) -> None:
    folder = written(Path("images"), 40)
    (folder / "red" / "cut.png").write_bytes(b"\x89PNG")
    told = semid("images", "train", folder, "--out", "one", *SMALL, *SIZES)
    assert told.code == 0, told
    assert "1 images cannot be decoded and are left out: red/cut.png" in told.errors
    assert "| grit | 1 |" in told.output
    [weights] = Path("one/runs").glob("*.safetensors")
    assert weights.with_suffix(".json").exists()
    compare = ("images", "compare", folder, "--out", "c", *SMALL, *SIZES, "--quantizers")
    assert semid(*compare, "ste,fsq", "--seeds", 2, "--best", 1, "--tune", 2).code == 0
    runs = {path: path.stat().st_mtime_ns for path in Path("c/runs").glob("*.json")}
    assert len(runs) == 3
    table = Path("c/compare/summary.md").read_text()
    for name in ("curves", "rates", "reconstructions", "samples"):
        picture = Path("c/compare", f"{name}.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
        picture.unlink()
    Path("c/compare/summary.md").unlink()
    assert table.rstrip() in semid("images", "report", "c").output
    assert Path("c/compare/summary.md").read_text() == table
    assert Path("c/compare/samples.png").exists()
    assert {path: path.stat().st_mtime_ns for path in runs} == runs


def test_ablations_start_from_what_a_comparison_chose(semid: Command) -> None:
    folder = written(Path("images"), 40)
    Path("chosen").mkdir()
    chosen = {"grit": {"options": {"learning_rate": 0.002}}}
    Path("chosen/tuning.json").write_text(json.dumps(chosen))
    grid = ("--set", "grid=4", "--set", "codebook_size=32")
    ablate = ("images", "ablate", folder, "--out", "a", *SMALL, *grid)
    told = semid(*ablate, "--study", "components", "--tuned", "chosen")
    assert told.code == 0, told
    rates = {
        record["cell"]["config"]["quantizer"]["name"]: record["cell"]["config"]["learning_rate"]
        for record in (json.loads(path.read_text()) for path in Path("a/runs").glob("*.json"))
    }
    assert rates == {"grit": 0.002, "ste": 0.001}
    assert "| grit, no transform | 1 |" in told.output


def test_what_cannot_be_trained_on_is_refused(semid: Command) -> None:
    folder = written(Path("images"), 40)
    train = ("images", "train", folder, "--out", "one", *SMALL)
    refused(semid(*train, "--grid", 5), "grid 5 does not divide images of 16 × 16", "8, 4, 2, 1")
    refused(semid(*train, "--grid", 2, "--codebook-size", 4096), "more than the 112 latents of 28")
    refused(semid(*train, "--quantizer", "grid"), "unknown quantizer 'grid'")
    refused(semid(*train, "--set", "chanels=8"), "unknown option", "'channels'")
    refused(semid(*train, "--set", "seed=3"), "--set seed")
    refused(semid("images", "train", "none", "--out", "one"), "none does not exist")
    refused(semid("images", "report", "one"), "keeps no study of images")
    refused(semid(*train[:2], folder, "--out", "one", "--device", "cuda:99"), "--device cuda:99")
    assert not Path("one", "runs").exists() or not list(Path("one", "runs").glob("*.json"))
