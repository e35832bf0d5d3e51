"""The map of a report: t-SNE of the items, with names to hover over and to search for."""

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from tokenizer.report.coded_items import CodedItems
from tokenizer.report.html import section
from tokenizer.report.pictures import code_hue

__all__ = ["layout", "map_section"]

MOST, SEARCHED = 2000, 20_000  # items on the map, and items that a search finds
WIDTH, HEIGHT, MARGIN = 1000, 620, 24
LABELLED = 14  # first codes whose words stand on the map
PERPLEXITY = 30.0
Values = NDArray[np.floating]


def layout(points: Values) -> Values:
    """Place points (n, D) in the plane by t-SNE, so that near ones stay together: (n, 2) in 0…1.

    van der Maaten, Hinton: Visualizing Data using t-SNE (2008), by scikit-learn. Equal points give
    an equal map.
    """
    n = len(points)
    if n < 5 or np.ptp(points, axis=0).max() == 0:
        return np.stack([np.linspace(0, 1, n), np.full(n, 0.5)], axis=1)
    init = "pca" if points.shape[1] >= 2 else "random"
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3), init=init, random_state=0, max_iter=500, n_jobs=1
    )
    placed = tsne.fit_transform(np.ascontiguousarray(points, np.float32)).astype(np.float64)
    low, high = placed.min(axis=0), placed.max(axis=0)
    return np.asarray((placed - low) / np.maximum(high - low, 1e-12))


def map_section(items: CodedItems, latents: Values, words: Mapping[int, Sequence[str]]) -> str:
    """Return the section with the map and the search.

    Args:
        latents: (n, d), decoded; they place the items if the items' vectors are not known.
        words: of the first codes.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(items.codes))[:MOST])
    known = items.directions is not None and not np.isnan(items.directions[rows]).any()
    points = items.directions[rows] if known and items.directions is not None else latents[rows]
    placed = layout(points)
    what = "vectors" if known else "decoded latents (their vectors are not known here)"
    drawn = "" if len(rows) == len(items.codes) else f" of {len(items.codes):,}"
    lead = (
        f"{len(rows):,}{drawn} items, placed by t-SNE of their {what}: items that are alike stand "
        f"together. The colour is that of the first code. Hover over an item for its name; search "
        f"marks items here and finds them in the list."
    )
    return section(
        "Map of the items",
        lead,
        '<p><input id="find" type="search" placeholder="part of a name, or of an ID" '
        'aria-label="search the items" autocomplete="off"></p>',
        f'<figure class="map">{_picture(items, rows, placed, words)}</figure>',
        '<p id="tip" class="dim" aria-live="polite"></p><ul id="found" class="items"></ul>',
        f'<script type="application/json" id="items">{_data(items)}</script>',
    )


def _picture(
    items: CodedItems, rows: NDArray[np.intp], placed: Values, words: Mapping[int, Sequence[str]]
) -> str:
    x = MARGIN + placed[:, 0] * (WIDTH - 2 * MARGIN)
    y = MARGIN + placed[:, 1] * (HEIGHT - 2 * MARGIN)
    size = float(np.clip(110 / np.sqrt(len(rows)), 2.5, 6))
    dots = [
        f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{size:.1f}" data-row="{row}" '
        f'fill="hsl({code_hue(0, int(items.codes[row, 0])):.0f} 55% 48%)">'
        f"<title>{escape(items.names[row])} · {items.written(row)}</title></circle>"
        for left, top, row in zip(x, y, rows.tolist(), strict=True)
    ]
    firsts = items.codes[rows, 0]
    values, counts = np.unique(firsts, return_counts=True)
    common = values[np.argsort(-counts, kind="stable")[:LABELLED]].tolist()
    labels = [
        f'<text x="{np.median(x[firsts == code]):.1f}" y="{np.median(y[firsts == code]):.1f}">'
        f"{escape(' '.join([str(code), *words.get(code, ())[:2]]))}</text>"
        for code in common
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Map of the items">'
        f"{''.join(dots)}{''.join(labels)}</svg>"
    )


def _data(items: CodedItems) -> str:
    """Return names and IDs as JSON that no title can end."""
    some = range(min(len(items.codes), SEARCHED))
    plain = json.dumps([[items.names[row], items.written(row)] for row in some], ensure_ascii=False)
    return plain.replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " ")
