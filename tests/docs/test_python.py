"""Python that pages show calls what `import semid` has, with arguments that it takes."""

import ast
import inspect
from collections.abc import Iterator

import pytest

import semid
from tests.docs.pages import Block, blocks

# What each variable of the pages holds.
KINDS = {
    "tokenizer": semid.Tokenizer,
    "recommender": semid.Recommender,
    "client": semid.Client,
    "semid": semid,
}


def _uses(block: Block) -> Iterator[tuple[object, ast.Attribute, ast.Call | None]]:
    """Yield each attribute that a block takes of a known variable, and the call of it."""
    tree = ast.parse(block.text)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            kind = KINDS.get(node.value.id)
            if kind is not None and "import semid" in block.text:
                yield kind, node, calls.get(id(node))


@pytest.mark.parametrize(
    "block", [each for each in blocks() if each.language == "python"], ids=lambda block: block.page
)
def test_what_is_called_exists(block: Block) -> None:
    for kind, attribute, call in _uses(block):
        if attribute.attr.endswith("_"):
            assert attribute.attr in str(inspect.getdoc(kind)), attribute.attr
            continue
        called = getattr(kind, attribute.attr)
        if call is not None:
            is_method = inspect.isclass(kind) and inspect.isfunction(
                inspect.getattr_static(kind, attribute.attr)
            )
            given = [None] * (len(call.args) + is_method)
            inspect.signature(called).bind(
                *given, **{str(word.arg): None for word in call.keywords}
            )
