"""Pages hold together: links lead somewhere, files exist, blocks are of their language."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.cli.serving.options import ServeSettings
from service.cli.tokenizers.fit import FitSettings
from tests.docs.pages import PAGES, README, ROOT, Block, anchors, blocks, text_of, without_blocks

LINK = re.compile(r"\]\(([^()\s]+)\)")
PLACE = re.compile(
    r"(?<![\w/.-])(?:data_prep|tokenizer|recsys|service|tests|docs|docker|bench|examples)/[\w./-]*"
)
MADE_BY_READER = ("docker/config",)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(without_blocks(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_in_the_menu_and_the_readme() -> None:
    menu, readme = text_of("mkdocs.yml"), README.read_text()
    for page in PAGES[1:]:
        assert f": {page.name}\n" in menu, page
        assert page.name == "index.md" or f"(docs/{page.name})" in readme, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    for found in PLACE.findall(page.read_text()):
        if not found.startswith(MADE_BY_READER):
            assert (ROOT / found.rstrip(".")).exists(), found


@pytest.mark.parametrize(
    "block", list(blocks()), ids=lambda block: f"{block.page}-{block.language}"
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
