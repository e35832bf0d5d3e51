"""The page on a tokenizer: its error, its training, its codebooks, and the codes of items."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenizer.artifact import TokenizerArtifact
from tokenizer.prefixes.naming import PrefixNamer
from tokenizer.report.coded_items import CodedItems, collisions_section, usage_section
from tokenizer.report.compared import Compared, compared_section
from tokenizer.report.content import Content, content_section
from tokenizer.report.families import families_section, sizes_section
from tokenizer.report.html import figure, page, pairs, section, table, tiles
from tokenizer.report.item_map import map_section
from tokenizer.report.neighbours import decoded_latents, neighbour_overlap, neighbours_section
from tokenizer.report.pictures import Line, draw_lines, level_lines

__all__ = ["report"]

MAX_EVENTS = 200

Values = NDArray[np.float64]


def report(
    tokenizer: TokenizerArtifact,
    items: CodedItems | None,
    content: Content | None = None,
    other: tuple[TokenizerArtifact, CodedItems] | None = None,
) -> str:
    """Return the page as HTML; equal arguments give equal text.

    Args:
        items: the items to show; None shows what the tokenizer's files contain.
        content: the items' fields and texts; None leaves that section out.
        other: another tokenizer with its items, to compare with; needs `items`.
    """
    quantizer = tokenizer.config.quantizer
    encoder = tokenizer.config.encoder
    source = "given as vectors" if encoder is None else f"their texts embedded by {encoder.name}"
    lead = (
        f"{quantizer.name}, {quantizer.levels} levels of {quantizer.codebook_size} codewords, "
        f"fitted on {tokenizer.metrics['items']:,} items, {source}"
    )
    codebooks = tokenizer.model.quantizer.codebooks().double().numpy()
    sections = [_summary(tokenizer), _training(tokenizer), _codebooks(codebooks)]
    if items is None:
        sections.append(
            section(
                "Items",
                "The sections on the use of codes, the map, collisions and prefixes need items. "
                "Pass the catalogue (--items items.parquet) and, if you have them, the IDs that "
                "semid tokenize wrote (--ids ids.parquet).",
            )
        )
    else:
        shown = _compared(tokenizer, items)
        if content is not None:
            sections.append(content_section(content))
        words = {family.codes[0]: family.words for family in shown.namer.below()}
        sections += [
            usage_section(items, quantizer.codebook_size),
            map_section(items, decoded_latents(codebooks, items.codes), words),
            neighbours_section(shown.overlap),
            sizes_section(items),
            families_section(items, shown.namer),
            collisions_section(items),
        ]
        if other is not None:
            sections.append(compared_section(shown, _compared(*other)))
    sections.append(_configuration(tokenizer))
    return page("Tokenizer report", lead, sections)


def _compared(tokenizer: TokenizerArtifact, items: CodedItems) -> Compared:
    """Return a tokenizer with its items, the names of their prefixes, and their overlap."""
    codebooks = tokenizer.model.quantizer.codebooks().double().numpy()
    latents = decoded_latents(codebooks, items.codes)
    namer = PrefixNamer(items.codes, items.titles, latents, items.directions)
    overlap = None if items.directions is None else neighbour_overlap(latents, items.directions)
    return Compared(tokenizer, items, namer, overlap)


def _summary(tokenizer: TokenizerArtifact) -> str:
    metrics, quantizer = tokenizer.metrics, tokenizer.config.quantizer
    errors = [(quantizer.name, metrics["train_error"], metrics["held_out_error"])]
    faiss = metrics.get("faiss_residual_quantizer", {})
    if "train_error" in faiss:
        name = f"FAISS residual quantizer, {faiss['levels']} × {faiss['bits']} bits"
        errors.append((name, faiss["train_error"], faiss["held_out_error"]))
    return section(
        "Summary",
        "Measured when the tokenizer was fitted. Error: the share of the vectors' variance that "
        "the codes lose, on training items and on held-out items.",
        tiles(
            {
                "items": f"{metrics['items']:,}",
                "error, training items": f"{metrics['train_error']:.3f}",
                "error, held-out items": _error(metrics["held_out_error"]),
                "unique codes": f"{metrics['unique_share']:.2%}",
                "least utilization": f"{min(lv['utilization'] for lv in metrics['levels']):.1%}",
                "dead codes": f"{sum(level['dead_codes'] for level in metrics['levels']):,}",
            }
        ),
        '<div class="columns halves">',
        table(
            ("level", "utilization", "dead codes", "perplexity"),
            [
                (number, f"{lv['utilization']:.1%}", lv["dead_codes"], f"{lv['perplexity']:.1f}")
                for number, lv in enumerate(metrics["levels"], start=1)
            ],
        ),
        table(
            ("error", "training items", "held-out items"),
            [(name, f"{train:.3f}", _error(held)) for name, train, held in errors],
        ),
        "</div>",
        "<h3>Record</h3>",
        pairs(_record(tokenizer)),
    )


def _record(tokenizer: TokenizerArtifact) -> dict[str, object]:
    """Return what is known of the run that fitted the tokenizer."""
    record = tokenizer.metrics["record"]
    machine = record.get("machine", {})
    return {
        "fingerprint": tokenizer.fingerprint,
        "command": record.get("command", "not recorded"),
        "seed": tokenizer.config.training.seed,
        "wall time": f"{record['wall_seconds']:,.0f} s" if "wall_seconds" in record else "–",
        "machine": ", ".join(
            f"{machine[key]}{' cores' if key == 'cores' else ''}"
            for key in ("processor", "cores", "system")
            if machine.get(key)
        ),
        "catalogue's SHA-256": record.get("data_fingerprint", "not recorded"),
    }


def _training(tokenizer: TokenizerArtifact) -> str:
    metrics, size = tokenizer.metrics, tokenizer.config.quantizer.codebook_size
    history: Sequence[Mapping[str, Any]] = metrics.get("history", [])
    if not history:
        return section("Training", "metrics.json has no history of this training.")
    steps = [measured["step"] for measured in history]
    events: Sequence[Mapping[str, Any]] = metrics.get("events", [])
    errors = [
        Line(name, steps, [measured[key] for measured in history], colour)
        for colour, (key, name) in enumerate(
            (
                ("train_error", "training"),
                ("validation_error", "validation"),
                ("held_out_error", "held-out"),
            )
        )
        if history[0].get(key) is not None
    ]
    faiss = metrics.get("faiss_residual_quantizer", {})
    if faiss.get("held_out_error") is not None:
        ends = [steps[0], steps[-1]]
        errors.append(Line("FAISS, held-out", ends, [faiss["held_out_error"]] * 2, None))
    used = np.asarray([measured["utilization"] for measured in history])
    dead = np.asarray(
        [
            measured.get("dead_codes", size * (1 - row))
            for measured, row in zip(history, used, strict=True)
        ]
    ).round()
    most = max(4.0, float(dead.max()))
    pictures: list[tuple[str, list[Line], tuple[float, float] | None]] = [
        ("relative error", errors, None),
        ("utilization", level_lines(used.T, steps), (0, 1.05)),
        ("dead codes", level_lines(dead.T, steps), (-0.03 * most, 1.05 * most)),
    ]
    marks = sorted({event["step"] for event in events})
    parts = [
        figure(
            draw_lines(
                lines, label, "step", limits=limits, kept=metrics.get("best_step"), marks=marks
            ),
            f"{label.capitalize()} over the steps of training",
        )
        for label, lines, limits in pictures
    ]
    return section(
        "Training",
        "Steps include the warm-up, which trains without quantization. The kept step is the one "
        "with the lowest error on the validation items.",
        '<div class="columns">',
        *parts,
        "</div>",
        _events(events, "events" in metrics),
    )


def _events(events: Sequence[Mapping[str, Any]], kept: bool) -> str:
    """Return the table of the safeguards' actions; nothing if the training recorded none."""
    if not events:
        return '<p class="dim">No safeguard stepped in.</p>' if kept else ""
    rows = [
        (event["step"], event.get("level", "–"), event["what"], event.get("detail", ""))
        for event in events[:MAX_EVENTS]
    ]
    more = len(events) - len(rows)
    return (
        "<h3>Events</h3>"
        + table(("step", "level", "event", "detail"), rows, words=True)
        + (f'<p class="dim">and {more:,} more in metrics.json</p>' if more else "")
    )


def _codebooks(codebooks: Values) -> str:
    lengths: Values = np.sort(np.linalg.norm(codebooks, axis=2).astype(float), axis=1)[:, ::-1]
    spectra: Values = np.linalg.svd(codebooks, compute_uv=False).astype(float)
    energy = spectra**2 / np.maximum((spectra**2).sum(1, keepdims=True), 1e-300)
    ranks = np.exp(-(energy * np.log(np.maximum(energy, 1e-300))).sum(1))
    rows = [
        (number, f"{own[-1]:.2f}", f"{own.mean():.2f}", f"{own[0]:.2f}", f"{rank:.1f}")
        for number, (own, rank) in enumerate(zip(lengths, ranks, strict=True), start=1)
    ]
    return section(
        "Codebooks",
        f"The codewords of each level, {codebooks.shape[1]} × {codebooks.shape[2]}. As levels code "
        "residuals, lengths should fall from level to level. A spectrum that ends early means that "
        "a level does not use all dimensions. Effective rank: exp of the entropy of the squared "
        "singular values.",
        '<div class="columns">',
        figure(
            draw_lines(
                level_lines(lengths),
                "length",
                "codewords, longest first",
                limits=(0, 1.05 * float(lengths.max() or 1)),
            ),
            "Lengths of each level's codewords",
        ),
        figure(
            draw_lines(level_lines(spectra), "singular value", "rank", log=True),
            "Singular values of each level's codebook",
        ),
        table(("level", "shortest", "mean", "longest", "effective rank"), rows),
        "</div>",
    )


def _configuration(tokenizer: TokenizerArtifact) -> str:
    body = tokenizer.config.model_dump(mode="json")
    training = body.pop("training")
    groups = {
        "quantizer": training.pop("quantizer"),
        "autoencoder": training.pop("autoencoder"),
        "training": training,
        "text": body.pop("text"),
        "encoder": body.pop("encoder") or {},
        "versions": body.pop("versions"),
        "other": body,
    }
    parts = [
        f"<div><h3>{name}</h3>{pairs({key: _said(value) for key, value in group.items()})}</div>"
        for name, group in groups.items()
        if group
    ]
    return section(
        "Configuration",
        "",
        '<details><summary>config.json</summary><div class="columns">',
        *parts,
        "</div></details>",
    )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _error(measured: float | None) -> str:
    return "none held out" if measured is None else f"{measured:.3f}"
