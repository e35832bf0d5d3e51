"""`--device` of each command: one that is not there changes nothing."""

from pathlib import Path

import pytest

from tests.service.cli.command import SMALL, Command, refused

COMMANDS = {
    "fit": ("fit", "items.parquet", "--out", "out"),
    "embed": ("embed", "items.parquet", "--out", "out"),
    "tokenize": ("tokenize", "items.parquet", "--tokenizer", "t", "--out", "out"),
    "compare": ("compare", "items.parquet", "--out", "out"),
    "ablate": ("ablate", "items.parquet", "--study", "radius", "--out", "out"),
    "demo": ("demo", "--out", "out", "--no-serve"),
    "serve": ("serve", "--tokenizer", "t", "--port", "0"),
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_device_that_is_not_there_is_refused_before_any_work(
    name: str, semid: Command, catalogue: Path
) -> None:
    for device, said in (("cuda:99", "--device cuda:99: torch"), ("tpu", "--device tpu: give cpu")):
        refused(semid(*COMMANDS[name], "--device", device), said)
    assert not Path("out").exists()
    assert catalogue.exists()


def test_an_index_on_a_device_that_is_not_there_is_refused(semid: Command) -> None:
    refused(semid(*COMMANDS["serve"], "--index-device", "cuda:99"), "cuda:99")


def test_auto_computes_on_what_is_there(semid: Command, catalogue: Path) -> None:
    given = ("--device", "auto", *SMALL)
    fitted = semid("fit", catalogue, "--out", "tok", *given)
    assert fitted.code == 0, fitted.errors
    asked = ("tokenize", catalogue, "--tokenizer", "tok", "--device")
    assert semid(*asked, "auto", "--out", "ids.parquet").code == 0
    assert Path("ids.parquet").exists()
