"""Commands that pages show exist, and those of the README run."""

import argparse
import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path

import httpx
import polars as pl
import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from data_prep.demo import demo_items
from service.cli import main
from service.cli.commands import app
from tests.docs.pages import ROOT, Sentence, blocks, semid_commands, shell_commands, spans, text_of
from tests.e2e.server import serving

ADDRESS = "http://127.0.0.1:8000"
OPTION = re.compile(r"--[a-z][\w-]*")
SEMID = typer.main.get_command(app)


def _command_of(words: tuple[str, ...]) -> tuple[TyperCommand | TyperGroup, list[str]]:
    """Return the command that words after `semid` name, and the words behind its name."""
    command, rest = SEMID, list(words)
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"semid has no command {' '.join(words)!r}"
        command = command.commands[rest.pop(0)]
    assert isinstance(command, TyperCommand | TyperGroup)
    return command, rest


def _options(command: TyperCommand | TyperGroup) -> set[str]:
    named = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return named | {"--help"}


@cache
def _all_options() -> set[str]:
    """Return the options of all commands."""
    left: list[TyperCommand | TyperGroup] = [_command_of(())[0]]
    found: set[str] = set()
    while left:
        command = left.pop()
        found |= _options(command)
        if isinstance(command, TyperGroup):
            left += [_command_of_any(each) for each in command.commands.values()]
    return found


def _command_of_any(command: object) -> TyperCommand | TyperGroup:
    assert isinstance(command, TyperCommand | TyperGroup)
    return command


@pytest.mark.parametrize("sentence", semid_commands(), ids=str)
def test_a_command_of_a_block_can_be_given(sentence: Sentence) -> None:
    command, rest = _command_of(sentence.words[1:])
    assert isinstance(command, TyperCommand), "names no command"
    if "--help" not in rest:
        command.make_context("semid", rest)  # raises where an option or argument is wrong


def test_commands_and_options_within_a_line_exist() -> None:
    for page, span in spans():
        if span.startswith("semid ") and not span.split()[1].isupper():
            command, rest = _command_of(tuple(span.split()[1:]))
            for option in OPTION.findall(" ".join(rest)):
                assert option in _options(command), f"{page}: {span}"
        elif span.startswith("--"):
            for option in OPTION.findall(span):
                assert option in _all_options(), f"{page}: {span}"


def test_targets_and_modules_exist() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", text_of("Makefile"), re.MULTILINE))
    named = [(page, tuple(span.split())) for page, span in spans()]
    for page, words in [*named, *shell_commands()]:
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, f"{page}: {words}"
        if words[:2] == ("python", "-m"):
            assert importlib.util.find_spec(words[2]), f"{page}: {words}"


def _check_requests(address: str) -> None:
    """Send the requests that the pages show, of curl and of Python, to a service."""
    sent = 0
    for sentence in shell_commands():
        if sentence.words[0] == "curl":
            shown = argparse.ArgumentParser()
            shown.add_argument("-s", action="store_true")
            shown.add_argument("-H")
            shown.add_argument("-d")
            shown.add_argument("url")
            given = shown.parse_args(sentence.words[1:])
            assert given.H == "Content-Type: application/json"
            answer = httpx.post(given.url.replace(ADDRESS, address), json=json.loads(given.d))
            assert answer.status_code == 200, answer.text
            sent += 1
    for block in blocks():
        if block.language == "python" and ADDRESS in block.text:
            exec(block.text.replace(ADDRESS, address), {})
            sent += 1
    assert sent >= 4


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The five commands, on a small catalogue, with the quick encoder and few steps."""
    catalogue = demo_items(360)
    catalogue.head(300).write_parquet(tmp_path / "items.parquet")
    catalogue.write_parquet(tmp_path / "more.parquet")
    monkeypatch.chdir(tmp_path)
    quick = {"encoder": "hashing", "steps": "20", "warmup_steps": "5", "codebook_size": "32"}
    for name, value in quick.items():
        monkeypatch.setenv(f"SEMID_FIT_{name.upper()}", value)
    monkeypatch.setenv("SEMID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the service's own process
    commands = [each.words for each in semid_commands() if each.page == "README.md"]
    assert [words[1] for words in commands] == ["fit", "inspect", "tokenize", "tokenize", "serve"]
    for words in commands[:4]:
        monkeypatch.setattr(sys, "argv", list(words))
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, words  # noqa: PT017 - to return is to succeed too
    first, all_ids = (pl.read_parquet(f"{name}.parquet") for name in ("ids", "all-ids"))
    assert (first.height, all_ids.height) == (300, 360)
    assert all_ids.head(300).equals(first)
    with serving(tmp_path / "log", *commands[4][2:]) as address:
        item = httpx.get(f"{address}/v1/items/{first['item_id'][0]}").json()
        _check_requests(address)
    assert item["semantic_id"] == first["semantic_id"][0]
    assert item["title"] == catalogue["title"][0]
