"""What pages list is what the code has: routes, problems, metrics, names, columns, messages."""

import ast
import re

from data_prep.tables import INTERACTIONS, ITEMS
from recsys.models.baselines import BASELINES
from recsys.presets import MODELS
from service.http.messages.limits import DEFAULT
from service.http.messages.problems import PROBLEMS
from service.http.security.guard import RULES
from service.observability.telemetry import Telemetry
from service.registry.migrations.schema import VERSION, schema
from tests.docs.pages import ROOT, SPAN, text_of
from tokenizer import artifact
from tokenizer.model.networks import NETWORKS
from tokenizer.offline.id_table import SEMANTIC_IDS
from tokenizer.quantizers import QUANTIZERS
from tokenizer.quantizers.grit.codebook import PROTOCOLS
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.grit.transform import TRANSFORMS
from tokenizer.study.ablations import STUDIES

# What stands in a message for what is given: …, a quoted name, numbers, a type.
EXAMPLE = re.compile(r"…|'[^']*'|\(rows [\d, ]+\)|\b[\d,.]+\d?\b|Float64")


def test_the_reference_has_every_route() -> None:
    page = text_of("docs/http.md")
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
    page = text_of("docs/http.md")
    for status, kind in PROBLEMS.items():
        assert f"| {status} | `{kind.name}` |" in page
    for name, default in DEFAULT:
        assert re.search(rf"\| {default:,}[^|]*\| `--{name.replace('_', '-')}` \|", page), name


def test_operations_has_every_metric() -> None:
    told = re.findall(r"^# TYPE (semid_\w+)", Telemetry().expose().decode(), re.MULTILINE)
    listed = re.findall(r"^\| `(semid_\w+)` \|", text_of("docs/operations.md"), re.MULTILINE)
    assert sorted(name for name in told if not name.endswith("_created")) == sorted(listed)


def test_quantizers_has_every_name() -> None:
    page = text_of("docs/quantizers.md")
    for names in (QUANTIZERS, RADII, TRANSFORMS, PROTOCOLS, STUDIES, NETWORKS):
        assert {name for name in names if f"`{name}`" not in page} == set()


def test_results_names_models_that_exist() -> None:
    rows = re.findall(
        r"^\| ([a-z-]+) \| [\w–-]+ \| \d \|", text_of("docs/results.md"), re.MULTILINE
    )
    assert len(rows) > 20
    assert set(rows) <= {*MODELS, *BASELINES}


def test_formats_has_every_column_and_number() -> None:
    page = text_of("docs/formats.md")
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
        r"^\| (`.+?`) (?:/ (`.+?`) )?\|", text_of("docs/troubleshooting.md"), re.MULTILINE
    )
    messages = [span[1:-1] for row in rows for span in row if span]
    assert len(messages) > 40
    for message in messages:
        parts = re.split(EXAMPLE, message)
        told = [part.strip(" :,;()") for part in parts if len(part.split()) > 1]
        assert told, message
        assert [part for part in told if part not in said] == [], message
