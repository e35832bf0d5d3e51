"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, without a line end after its last row.

    Args:
        headings: one heading a column; it may be empty.
        rows: rows of cells, one cell for each heading.
    """
    rule = "|---" * len(headings) + "|"
    return "\n".join([_row(headings), rule, *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
