"""The documentation says what is: its links, commands and names exist, and its commands run."""

import ast
import importlib.util
import itertools
import json
import re
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import httpx
import polars as pl
import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from data_prep.demo import demo_items
from data_prep.tables import INTERACTIONS, ITEMS
from recsys.benchmarks.presets import MODELS
from service.cli.main import app, main
from service.http.messages.limits import DEFAULT
from service.http.messages.problems import PROBLEMS
from service.http.security.guard import RULES
from service.observability.telemetry import Telemetry
from service.registry.migrations.schema import VERSION, schema
from service.settings import FitSettings, ServeSettings
from tests.e2e.server import serving
from tokenizer import artifact
from tokenizer.model.networks import NETWORKS
from tokenizer.offline.id_table import SEMANTIC_IDS
from tokenizer.quantizers import QUANTIZERS
from tokenizer.quantizers.grit.codebook import PROTOCOLS
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.grit.transform import TRANSFORMS
from tokenizer.study.ablations import STUDIES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PLACE = re.compile(
    r"(?<![\w/.-])(?:data_prep|tokenizer|recsys|service|tests|docs|docker|bench|examples)/[\w./-]*"
)
MADE_BY_READER = ("docker/config",)
OPTION = re.compile(r"--[a-z][\w-]*")
# What stands in a message for what is given: …, a quoted name, numbers, a type.
EXAMPLE = re.compile(r"…|'[^']*'|\(rows [\d, ]+\)|\b[\d,.]+\d?\b|Float64")
SEMID = typer.main.get_command(app)


class Block(NamedTuple):
    page: str
    language: str
    text: str


class Sentence(NamedTuple):
    """A command as a page gives it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def _text(page: str) -> str:
    return (ROOT / page).read_text()


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        for found in FENCE.finditer(page.read_text()):
            yield Block(str(page.relative_to(ROOT)), found[2], found[3])


def _spans() -> Iterator[tuple[str, str]]:
    """Yield each piece of code within a line, and its page."""
    for page in PAGES:
        for found in SPAN.finditer(FENCE.sub("", page.read_text())):
            yield str(page.relative_to(ROOT)), found[1]


def _commands(language: str = "sh") -> Iterator[Sentence]:
    """Yield every line of the pages' shell blocks."""
    for block in _blocks():
        if block.language == language:
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                words = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
                if words:
                    yield Sentence(block.page, tuple(words))


def _semid_commands() -> list[Sentence]:
    parts = [
        Sentence(sentence.page, tuple(part))
        for sentence in _commands()
        for joined, part in itertools.groupby(sentence.words, lambda word: word == "&&")
        if not joined
    ]
    return [part for part in parts if part.words[0] == "semid"]


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


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    plain = unicodedata.normalize("NFKD", FENCE.sub("", page.read_text()))
    words = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in HEADING.findall(plain))
    return {re.sub(r"[-\s]+", "-", each) for each in words}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def test_every_page_is_in_the_menu_and_the_readme() -> None:
    menu, readme = _text("mkdocs.yml"), README.read_text()
    for page in PAGES[1:]:
        assert f": {page.name}\n" in menu, page
        assert page.name == "index.md" or f"(docs/{page.name})" in readme, page


@pytest.mark.parametrize("sentence", _semid_commands(), ids=str)
def test_a_command_of_a_block_can_be_given(sentence: Sentence) -> None:
    command, rest = _command_of(sentence.words[1:])
    assert isinstance(command, TyperCommand), "names no command"
    if "--help" not in rest:
        command.make_context("semid", rest)  # raises where an option or argument is wrong


def test_commands_and_options_within_a_line_exist() -> None:
    for page, span in _spans():
        if span.startswith("semid ") and not span.split()[1].isupper():
            command, rest = _command_of(tuple(span.split()[1:]))
            for option in OPTION.findall(" ".join(rest)):
                assert option in _options(command), f"{page}: {span}"
        elif span.startswith("--"):
            for option in OPTION.findall(span):
                assert option in _all_options(), f"{page}: {span}"


def test_targets_and_modules_exist() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", _text("Makefile"), re.MULTILINE))
    spans = [(page, tuple(span.split())) for page, span in _spans()]
    for page, words in [*spans, *_commands()]:
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, f"{page}: {words}"
        if words[:2] == ("python", "-m"):
            assert importlib.util.find_spec(words[2]), f"{page}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    for found in PLACE.findall(page.read_text()):
        if not found.startswith(MADE_BY_READER):
            assert (ROOT / found.rstrip(".")).exists(), found


@pytest.mark.parametrize(
    "block", list(_blocks()), ids=lambda block: f"{block.page}-{block.language}"
)
def test_a_block_is_of_its_language(block: Block) -> None:
    assert block.language in {"sh", "python", "json", "toml"}
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        try:
            json.loads(block.text)
        except json.JSONDecodeError:  # one document a line
            assert [json.loads(line) for line in block.text.splitlines()]
    elif block.language == "toml":
        for table, given in tomllib.loads(block.text).items():
            settings = FitSettings if table == "fit" else ServeSettings
            assert given.keys() <= settings.model_fields.keys(), table


def test_the_reference_has_every_route() -> None:
    page = _text("docs/http.md")
    for (method, template), rule in RULES.items():
        path = template.replace("{item_id:any}", "{item_id}")
        if path.startswith(("/explorer", "/static")):
            continue
        if rule.scope is None and not path.startswith(("/health", "/metrics")):
            assert f"`{path}`" in page.replace("`GET /`", "`/`"), path
        else:
            row = rf"^\| (\[)?`{method} {re.escape(path)}`.*? \| {rule.scope or '–'} \|"
            assert re.search(row, page, re.MULTILINE), row


def test_the_reference_has_every_problem_and_limit() -> None:
    page = _text("docs/http.md")
    for status, kind in PROBLEMS.items():
        assert f"| {status} | `{kind.name}` |" in page
    for name, default in DEFAULT:
        assert re.search(rf"\| {default:,}[^|]*\| `--{name.replace('_', '-')}` \|", page), name


def test_operations_has_every_metric() -> None:
    told = re.findall(r"^# TYPE (semid_\w+)", Telemetry().expose().decode(), re.MULTILINE)
    listed = re.findall(r"^\| `(semid_\w+)` \|", _text("docs/operations.md"), re.MULTILINE)
    assert sorted(name for name in told if not name.endswith("_created")) == sorted(listed)


def test_quantizers_has_every_name() -> None:
    page = _text("docs/quantizers.md")
    for names in (QUANTIZERS, RADII, TRANSFORMS, PROTOCOLS, STUDIES, NETWORKS):
        assert {name for name in names if f"`{name}`" not in page} == set()


def test_results_names_models_that_exist() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| [\w–-]+ \| \d \|", _text("docs/results.md"), re.MULTILINE)
    assert len(rows) > 20
    assert set(rows) <= {*MODELS, "popularity", "co-occurrence"}


def test_formats_has_every_column_and_number() -> None:
    page = _text("docs/formats.md")
    for columns in (ITEMS, INTERACTIONS, SEMANTIC_IDS):
        for name, dtype in columns.items():
            rows = [row for row in page.splitlines() if row.startswith("|") and f"`{name}`" in row]
            kind = str(dtype).split("(")[0]
            assert any(kind in row for row in rows), f"{name}: {dtype}"
    assert f"`format` ({artifact.FORMAT})" in page
    assert f"(`{VERSION}`)" in page
    for table in schema.tables.values():
        [row] = [row for row in page.splitlines() if row.startswith(f"| `{table.name}` |")]
        assert {column.name for column in table.columns} <= set(SPAN.findall(row))


def _said(part: ast.expr) -> str:
    """Return a part of an f-string; of a choice the plural, which stands last."""
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
        part = part.value.orelse
    return str(part.value) if isinstance(part, ast.Constant) else "\0"


def _literals() -> str:
    """Return all that the packages' strings say; a placeholder parts what stands around it."""
    pieces = []
    for package in ("data_prep", "tokenizer", "recsys", "service"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    pieces.append("".join(map(_said, node.values)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    pieces.append(node.value)
    return "\n".join(pieces)


def test_messages_are_those_of_the_code() -> None:
    said = _literals()
    rows = re.findall(
        r"^\| (`.+?`) (?:/ (`.+?`) )?\|", _text("docs/troubleshooting.md"), re.MULTILINE
    )
    messages = [span[1:-1] for row in rows for span in row if span]
    assert len(messages) > 40
    for message in messages:
        parts = re.split(EXAMPLE, message)
        told = [part.strip(" :,;()") for part in parts if len(part.split()) > 1]
        assert told, message
        assert [part for part in told if part not in said] == [], message


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
    commands = [each.words for each in _semid_commands() if each.page == "README.md"]
    assert [words[1] for words in commands] == ["fit", "inspect", "tokenize", "tokenize", "serve"]
    for words in commands[:4]:
        monkeypatch.setattr(sys, "argv", list(words))
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    first, all_ids = (pl.read_parquet(f"{name}.parquet") for name in ("ids", "all-ids"))
    assert (first.height, all_ids.height) == (300, 360)
    assert all_ids.head(300).equals(first)
    with serving(tmp_path / "log", *commands[4][2:]) as address:
        item = httpx.get(f"{address}/v1/items/{first['item_id'][0]}").json()
    assert item["semantic_id"] == first["semantic_id"][0]
    assert item["title"] == catalogue["title"][0]


@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="mkdocs is not installed")
def test_the_site_builds_without_a_dead_link(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = re.findall(
        r"<(?:script|img)[^>]* src=\"?(https?:)|<link[^>]*stylesheet[^>]*(https?:)",
        (tmp_path / "site" / "index.html").read_text(),
    )
    assert not loaded, "the site loads something from the network"
