"""`semid check`: what a file holds, and what to fit it with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.embedding.encoders import DEFAULT_ENCODER, FITTED
from service.cli.data.embed import TextOptions
from service.cli.terminal.console import output, print_json, print_table
from service.cli.terminal.options import CATALOGUE, CatalogueOptions, JsonOption, QuietOption
from service.settings import TOML, argument, option

if TYPE_CHECKING:
    import polars as pl

    from data_prep.mapping.column_names import Guess
    from data_prep.profile.fields import FieldProfile
    from data_prep.profile.texts import TextProfile
    from data_prep.readers.table_files import TableFile
    from tokenizer.advice.catalogue_verdicts import Proposal

__all__ = ["CheckSettings", "check"]

LONGEST = 60  # characters of an example, and of three texts twice as many


class CheckSettings(TextOptions, CatalogueOptions, JsonOption, QuietOption):
    """The options of `semid check`."""

    command = "check"

    items: Path = argument(CATALOGUE)
    out: Path = option("File for the proposed options of semid fit.", TOML)
    write: bool = option("Write --out, unless it is there already.", True)
    overwrite: bool = option("Replace --out.", False)


@dataclass(frozen=True)
class _Checked:
    """What was found in a file."""

    file: "TableFile"
    guess: "Guess"
    fields: "Sequence[FieldProfile]"
    items: "pl.DataFrame"
    text_fields: tuple[str, ...]
    texts: "TextProfile | None"
    proposal: "Proposal"
    verdicts: tuple[str, ...]


def check(settings: CheckSettings) -> None:
    """Look at a catalogue before a fit: format, columns, texts, and what to choose.

    Shows how full each column is, three texts as the encoder sees them, what the encoder does not
    know, and what stands out. Writes the options that semid fit should take to semid.toml.

    Example: semid check products.csv
    """
    found = _checked(settings)
    toml = _toml(settings, found)
    written = settings.write and (settings.overwrite or not settings.out.exists())
    if written:
        from data_prep.storage.files import written_aside

        with written_aside(settings.out) as path:
            path.write_text(toml, encoding="utf-8")
    if settings.as_json:
        print_json(_described(found))
        return
    _print(found)
    if written:
        output.print(f"{settings.out} has these options; semid fit reads it")
    else:
        where = "" if not settings.out.exists() else f"; {settings.out} is as it was"
        output.print(f"options for semid fit{where}:\n\n{toml}")


def _checked(settings: CheckSettings) -> _Checked:
    from data_prep.embedding.encoders import load_encoder
    from data_prep.profile.fields import field_profiles
    from data_prep.profile.texts import profile_texts
    from data_prep.profile.variants import variant_columns
    from service.cli.data.catalogue import template_of
    from service.cli.data.verdicts import verdicts_on_fields, verdicts_on_rows
    from tokenizer.advice.catalogue_verdicts import proposal, text_verdicts

    file = settings.open(settings.items)
    guess = settings.guess(file)
    fields = field_profiles(file, guess.mapping)
    text_fields = settings.text_fields or guess.text_fields
    verdicts = verdicts_on_fields(file, guess, text_fields, fields)
    verdicts += verdicts_on_rows(file, guess)
    there = guess.mapping.frame(file.frame).columns
    text_fields = tuple(name for name in text_fields if name in there) or text_fields
    items = settings.items_of(file, guess, text_fields)
    template = template_of(text_fields, items)
    rendered = [template.render(item) for item in items.iter_rows(named=True)]
    with_text = [bool(text) for text in rendered]
    texts = [text for text in rendered if text]
    if len(texts) < len(rendered):
        verdicts.append(
            f"{len(rendered) - len(texts):,} items have no text in "
            f"{' or '.join(text_fields)}; they are left out (--skip-empty)"
        )
        guess.mapping = guess.mapping.changed({}, skip_empty=True)
    profile = None
    name = DEFAULT_ENCODER if settings.encoder in FITTED else settings.encoder
    if texts:
        profile = profile_texts(texts, load_encoder(name, settings=settings.model_settings()))
        variants = variant_columns(items.filter(with_text), texts, text_fields)
        verdicts += text_verdicts(profile, items.height, name, variants)
    chosen = proposal(items.height, profile)
    return _Checked(
        file, guess, fields, items, tuple(text_fields), profile, chosen, tuple(verdicts)
    )


def _print(found: _Checked) -> None:
    output.print(
        f"{found.file.name}: {found.file.described}; {found.file.frame.height:,} rows, "
        f"{found.items.height:,} items"
    )
    if found.guess.preset is not None:
        from data_prep.mapping.presets import PRESETS

        output.print(f"it looks like: {PRESETS[found.guess.preset].title}")
    rows = [
        (each.field or "-", each.column, f"{each.filled:.1%}", f"{each.distinct:,}",
         _short(each.example))
        for each in sorted(found.fields, key=lambda each: not each.field)
    ]  # fmt: skip
    print_table(("field", "column", "filled", "distinct", "example"), rows)
    output.print(f"text: {', '.join(found.text_fields)}")
    texts = found.texts
    if texts is not None:
        output.print("texts as the encoder sees them:")
        for text in texts.shown:
            output.print(f"  {_short(text, 4 * LONGEST)}")
        output.print(
            f"{texts.tokens:.0f} tokens a text, {texts.unknown:.1%} of them unknown; "
            f"{texts.cut:.1%} of the texts cut; {texts.identical_items:,} items with another's text"
        )
    for verdict in found.verdicts:
        output.print(f"! {verdict}")
    chosen = found.proposal
    output.print(
        f"proposal: encoder {chosen.encoder}, {chosen.shape} codes, network {chosen.network}, "
        f"beam {chosen.search_beam}, policy {chosen.policy}"
    )


def _toml(settings: CheckSettings, found: _Checked) -> str:
    """Return the table of semid.toml for `semid fit`."""
    mapping, chosen = found.guess.mapping, found.proposal
    name = settings.items.name.partition(".")[0] or "shop"
    own = settings.encoder != DEFAULT_ENCODER
    told = set(chosen.reasons) - ({"encoder"} if own else set())
    values: dict[str, Any] = {
        "items": str(settings.items),
        "out": f"tokenizers/{name}",
        "text_fields": ",".join(found.text_fields),
        "encoder": settings.encoder if own else chosen.encoder,
        "levels": chosen.shape.levels,
        "codebook_size": chosen.shape.codebook_size,
        "network": chosen.network,
        "search_beam": chosen.search_beam,
        "policy": chosen.policy,
        "preset": found.guess.preset,
        "dedupe": None if mapping.dedupe == "refuse" else mapping.dedupe,
        "skip_empty": mapping.skip_empty,
        "control_characters": (
            None if mapping.control_characters == "refuse" else mapping.control_characters
        ),
        "drop": ",".join(mapping.drop),
        "encoding": settings.encoding,
        "separator": settings.separator,
        "category_separator": settings.category_separator,
    }
    lines = []
    for key, value in values.items():
        if value:
            lines += [f"# {chosen.reasons[key]}"] if key in told else []
            lines.append(f"{key} = {_written(value)}")
    if found.guess.preset is None and mapping.columns:
        lines += ["", "[fit.column]"]
        lines += [f"{_written(ours)} = {_written(has)}" for ours, has in mapping.columns.items()]
    return "\n".join(["[fit]", *lines, ""])


def _written(value: object) -> str:
    # A JSON text without escapes of two units is a basic string of TOML.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _described(found: _Checked) -> dict[str, Any]:
    mapping = found.guess.mapping
    return {
        "file": found.file.name,
        "format": found.file.described,
        "rows": found.file.frame.height,
        "items": found.items.height,
        "preset": found.guess.preset,
        "mapping": mapping.model_dump(mode="json"),
        "fields": [asdict(each) for each in found.fields],
        "text_fields": found.text_fields,
        "texts": None if found.texts is None else asdict(found.texts),
        "verdicts": found.verdicts,
        "proposal": asdict(found.proposal),
    }


def _short(text: str, most: int = LONGEST) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
