"""The sections on prefixes: their sizes by depth, and each with its words and central item."""

from html import escape

from tokenizer.prefixes.naming import NamedPrefix, PrefixNamer, sizes_by_depth
from tokenizer.report.coded_items import CodedItems
from tokenizer.report.html import chips, item_list, section, table

__all__ = ["families_section", "sizes_section"]

MOST, BELOW, NAMES = 300, 8, 5


def sizes_section(items: CodedItems) -> str:
    """Return the section on the number of items of each prefix."""
    rows = [
        (d.length, f"{d.prefixes:,}", f"{d.median:g}", f"{d.largest:,}", f"{d.single:.1%}")
        for d in sizes_by_depth(items.codes)
    ]
    return section(
        "Items of each prefix, by depth",
        "A prefix of one code is a wide kind of item; each further code narrows it. Where most "
        "prefixes are single items, the codes after them group nothing.",
        table(("codes", "prefixes", "median items", "largest", "of one item"), rows),
    )


def families_section(items: CodedItems, namer: PrefixNamer) -> str:
    """Return the section with every first code, and the largest prefixes below it."""
    families = namer.below()
    chance = "" if namer.chance is None else f" By chance it is {namer.chance:.2f}."
    lead = (
        "The first codes, most items first: the words that their titles share more than others', "
        "the item nearest to the mean of all, and the coherence, the mean cosine of pairs of "
        f"items.{chance} Open one for the prefixes below it. The search above leaves those that "
        "match."
    )
    parts = [_family(items, namer, each) for each in families[:MOST]]
    if len(families) > MOST:
        parts.append(f'<p class="dim">and {len(families) - MOST:,} more</p>')
    return section("Families", lead, *parts)


def _family(items: CodedItems, namer: PrefixNamer, family: NamedPrefix) -> str:
    below = namer.below(family.codes)
    rows = "".join(
        f"<div>{_head(each)} <span>{escape(items.names[each.central])}</span></div>"
        for each in below[:BELOW]
    )
    more = f'<p class="dim">and {len(below) - BELOW:,} more</p>' if len(below) > BELOW else ""
    names = [items.names[row] for row in namer.rows(family.codes)[:NAMES]]
    return (
        f'<details class="family"><summary>{_head(family)} '
        f"<span>{escape(items.names[family.central])}</span></summary>"
        f"{rows}{more}{item_list(names, family.items - len(names))}</details>"
    )


def _head(each: NamedPrefix) -> str:
    coherence = "" if each.coherence is None else f" · coherence {each.coherence:.2f}"
    return (
        f"{chips(each.codes)}<strong>{escape(', '.join(each.words))}</strong> "
        f'<span class="dim">{each.items:,} {"item" if each.items == 1 else "items"}{coherence}'
        f"</span>"
    )
