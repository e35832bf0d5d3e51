"""The HTML elements of a self-contained page: inline style and script, nothing to fetch."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

from tokenizer.report.pictures import code_hue

__all__ = ["chips", "figure", "item_list", "page", "pairs", "section", "table", "tiles"]

# The policy allows the page's own script alone, and no requests, whatever a title contains.
FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';
  img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{lead}</p></header>
<main>
{sections}
</main>
<script>{script}</script>
</body>
</html>
"""


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return the page; the sections are HTML, title and lead are text."""
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    return FRAME.format(
        script=script,
        digest=b64encode(sha256(script.encode()).digest()).decode(),
        title=escape(title),
        lead=escape(lead),
        style=Path(__file__).with_name("report.css").read_text(encoding="utf-8"),
        sections="\n".join(sections),
    )


def section(heading: str, lead: str, *parts: str) -> str:
    """Return a section; the parts are HTML, heading and lead are text."""
    opening = f"<p>{escape(lead)}</p>" if lead else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{opening}\n" + "\n".join(parts) + "\n</section>"


def tiles(figures: Mapping[str, str]) -> str:
    """Return figures in large type, each with its name."""
    cells = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in figures.items()
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], words: bool = False) -> str:
    """Return a table; cells are aligned right, or left with `words`."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    kind = ' class="words"' if words else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def pairs(values: Mapping[str, object]) -> str:
    """Return a table of names and values, one pair a row."""
    rows = "\n".join(f"<tr>{_cells(pair)}</tr>" for pair in values.items())
    return f'<table class="pairs"><tbody>{rows}</tbody></table>'


def figure(picture: str, caption: str, kind: str = "") -> str:
    """Return an SVG with its caption; `kind` is a CSS class."""
    return (
        f'<figure class="{kind}" role="img" aria-label="{escape(caption)}">\n{picture}\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def chips(codes: Sequence[int]) -> str:
    """Return codes on coloured backgrounds, which show at a glance where two IDs differ."""
    spans = (
        f'<span style="background:hsl({code_hue(level, code):.0f} 45% 38%)">{code}</span>'
        for level, code in enumerate(codes)
    )
    return f'<span class="codes">{"".join(spans)}</span>'


def item_list(names: Sequence[str], more: int) -> str:
    """Return a list of item names, with the number of further items."""
    rows = [f"<li>{escape(name)}</li>" for name in names]
    if more:
        rows.append(f'<li class="dim">and {more:,} more</li>')
    return f'<ul class="items">{"".join(rows)}</ul>'


def _cells(row: Sequence[object]) -> str:
    return "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
