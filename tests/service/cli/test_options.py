"""One model a command: its fields are the options, the table, the variables and the help."""

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from data_prep.errors import InputError
from service.cli.commands import app
from service.cli.serving.options import ServeSettings
from service.cli.tokenizers.fit import FitSettings
from service.settings import CommandSettings, RegistrySettings, display_of, option_name, resolve
from tests.service.cli.command import Command, refused
from tokenizer.options import BOUNDS, OPTIONS


def _commands(
    group: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[CommandSettings], Any]]:
    """Yield each command's words, model, and what the command line parses."""
    for name, command in group.commands.items():
        words = (*path, name)
        if hasattr(command, "commands"):
            yield from _commands(command, words)
        else:
            closure = inspect.getclosurevars(inspect.unwrap(command.callback)).nonlocals
            yield words, closure["settings"], command


COMMANDS = list(_commands(typer.main.get_command(app)))
every_command = pytest.mark.parametrize(
    ("words", "model", "command"), COMMANDS, ids=[" ".join(words) for words, *_ in COMMANDS]
)


def test_all_commands_are_looked_at() -> None:
    assert len(COMMANDS) >= 26
    assert len({model.command for _, model, _ in COMMANDS}) == len(COMMANDS) - 1  # catalog


@every_command
def test_options_are_the_fields_of_the_model(
    words: tuple[str, ...], model: type[CommandSettings], command: Any
) -> None:
    assert words == tuple(model.command.split()) or words == ("prepare", "catalog")
    parameters = {each.name: each for each in command.params if each.name != "help"}
    assert parameters.keys() == model.model_fields.keys()
    for name, field in model.model_fields.items():
        if not display_of(field).get("argument"):
            assert option_name(name, field) in parameters[name].opts


@every_command
def test_help_tells_of_every_field(
    words: tuple[str, ...],
    model: type[CommandSettings],
    command: Any,
    semid: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    told = semid(*words, "--help").output
    assert command.help.splitlines()[0] in told
    for name, field in model.model_fields.items():
        assert field.description
        hidden = display_of(field).get("hidden")
        assert (field.description in told) == (not hidden), name
        line = next((line for line in told.splitlines() if field.description in line), "")
        assert hidden or field.is_required() == ("[required]" in line)


@pytest.mark.parametrize(
    ("words", "model"),
    [each[:2] for each in COMMANDS],
    ids=[" ".join(each[0]) for each in COMMANDS],
)
def test_unknown_names_are_refused_everywhere(
    words: tuple[str, ...], model: type[CommandSettings], semid: Command
) -> None:
    refused(semid(*words, "--no-such-option"), "no such option: --no-such-option", *words[:1])
    Path("semid.toml").write_text(f"[{'.'.join(model.table())}]\nno_such_option = 'secret'\n")
    told = semid(*words)
    refused(told, "semid.toml, table", "no_such_option")
    assert "secret" not in told.errors


def test_bounds_and_defaults_of_a_fit_are_those_of_the_core() -> None:
    own = OPTIONS.keys() & FitSettings.model_fields.keys()
    assert len(own) >= 12
    for name in own:
        assert FitSettings.model_fields[name].default == OPTIONS[name][1]
        if name in BOUNDS:
            least, most = BOUNDS[name]
            given = {"items": "i", "out": "o"}
            for value in (least, most):
                assert getattr(resolve(FitSettings, given | {name: str(value)}), name) == value
            for value in (least - 1, most * 2 + 1):
                with pytest.raises(InputError, match=name.replace("_", "-")):
                    resolve(FitSettings, given | {name: str(value)})


@pytest.fixture
def fitting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.chdir(tmp_path)
    return {"items": "i.parquet", "out": "o"}


def test_the_stronger_source_wins(
    fitting: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(FitSettings, fitting).levels == OPTIONS["levels"][1]
    Path("semid.toml").write_text("[fit]\nlevels = 5\ncolumn.item_id = 'sku'\n")
    assert resolve(FitSettings, fitting).levels == 5
    assert resolve(FitSettings, fitting).column == {"item_id": "sku"}
    monkeypatch.setenv("SEMID_FIT_LEVELS", "")  # as if it were not set
    assert resolve(FitSettings, fitting).levels == 5
    monkeypatch.setenv("SEMID_FIT_LEVELS", "6")
    assert resolve(FitSettings, fitting).levels == 6
    assert resolve(FitSettings, fitting | {"levels": "7"}).levels == 7


def test_a_wrong_value_is_told_with_its_source(
    fitting: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(**given: object) -> str:
        with pytest.raises(InputError) as error:
            resolve(FitSettings, fitting | given)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert re.fullmatch("--levels: .* 16 .given: 99, on the command line.", told(levels="99"))
    assert re.fullmatch("--levels: .* 1 .given: 0, on the command line.", told(levels="0"))
    assert "valid integer" in told(levels="many")
    Path("semid.toml").write_text("[fit]\nlevels = 98\n")
    assert told().endswith("(given: 98, in semid.toml, table fit)")
    monkeypatch.setenv("SEMID_FIT_LEVELS", "97")
    assert told().endswith("(given: 97, in SEMID_FIT_LEVELS)")
    monkeypatch.delenv("SEMID_FIT_LEVELS")
    assert "nan" in told(levels="4", learning_rate="nan")
    Path("semid.toml").write_text("[fit]\nlevles = 4\n")
    assert "did you mean 'levels'" in told()
    Path("semid.toml").unlink()
    monkeypatch.setenv("SEMID_FIT_OPTIONS", "radius")
    assert "SEMID_FIT_" in told()


def test_names_are_joined_by_commas_and_paths_by_the_separator_of_paths(
    fitting: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(FitSettings, fitting | {"text_fields": "title, brand"}).text_fields == (
        "title",
        "brand",
    )
    monkeypatch.setenv("SEMID_SERVE_TOKENIZER", "a:b")
    monkeypatch.setenv("SEMID_SERVE_CORS_ORIGINS", "https://a.example,https://b.example")
    served = resolve(ServeSettings, {})
    assert served.tokenizer == (Path("a"), Path("b"))
    assert served.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "model",
    [model for _, model, _ in COMMANDS if issubclass(model, RegistrySettings)],
    ids=lambda model: model.command,
)
def test_commands_on_the_registry_follow_the_service(
    model: type[RegistrySettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    given = dict.fromkeys(required, "x")
    Path("semid.toml").write_text("[serve]\ndatabase = 'sqlite:///toml.db'\nport = 1\n")
    assert resolve(model, given).database == "sqlite:///toml.db"
    monkeypatch.setenv("SEMID_SERVE_DATABASE", "sqlite:///variable.db")
    assert resolve(model, given).database == "sqlite:///variable.db"
    monkeypatch.setenv(f"{model.prefix()}DATABASE", "sqlite:///own.db")
    assert resolve(model, given).database == "sqlite:///own.db"
    assert resolve(model, given | {"database": "sqlite:///given.db"}).database.endswith("given.db")


def test_the_former_spelling_of_catalogue_still_works(
    semid: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {"tokenizer": [Path("t")]}
    assert resolve(ServeSettings, given | {"catalog": "c"}).catalogue == Path("c")
    monkeypatch.setenv("SEMID_SERVE_CATALOG", "v")
    assert resolve(ServeSettings, given).catalogue == Path("v")
    assert resolve(ServeSettings, given | {"catalogue": "c"}).catalogue == Path("c")
    Path("shop.csv").write_text("item_id,title\na,x\n")
    for word in ("catalogue", "catalog"):
        done = semid("prepare", word, "shop.csv", "--out", word)
        assert done.code == 0, done.errors
    told = semid("prepare", "--help").output
    assert "catalogue" in told
    assert not re.search(r"catalog\b", told)


def test_help_waits_for_no_heavy_library() -> None:
    program = (
        "import sys\n"
        "from service.cli.commands import app\n"
        "heavy = {'torch', 'faiss', 'polars', 'fastapi', 'sklearn', 'sqlalchemy'}\n"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_in_the_help_can_be_given() -> None:
    found = 0
    for words, _, command in COMMANDS:
        _, *lines = command.help.split("Example: semid ")
        for line in [] if command.hidden else lines:
            given = shlex.split(line)
            assert tuple(given[: len(words)]) == words
            command.make_context("semid", given[len(words) :])  # raises for a wrong option
            found += 1
    assert found >= 20
