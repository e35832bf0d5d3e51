import json
from pathlib import Path

from tests.service.cli.command import Command


def test_a_demo_is_used_again_and_one_of_another_version_is_made_anew(semid: Command) -> None:
    demo = ("demo", "--no-serve", "--encoder", "hashing", "--items", 300, "--steps", 5)
    assert "used again" not in semid(*demo).output
    assert "used again" in semid(*demo).output
    config = Path("demo/tokenizer/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"format": 1}))
    told = semid(*demo)
    assert told.code == 0, told.errors
    assert "tokenizer: used again" not in told.output
    assert json.loads(config.read_text())["format"] == 2
