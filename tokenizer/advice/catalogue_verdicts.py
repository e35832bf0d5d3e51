"""What stands out in a catalogue before a fit, in words, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_prep.embedding.encoders import DEFAULT_ENCODER, NGRAMS
from data_prep.profile.fields import FieldProfile
from data_prep.profile.texts import TextProfile
from data_prep.profile.variants import VariantColumns
from tokenizer.advice.shape import Shape, proposed_shape, single_prefixes
from tokenizer.config import FitConfig

__all__ = ["Proposal", "proposal", "shape_verdicts", "text_verdicts", "title_verdicts"]

EMPTY = 0.5  # share of empty rows that is told
UNKNOWN = 0.01  # share of unknown tokens that is told
# Of MiniLM's tokens in English catalogues at most 0.23 go on with a word; in French, German,
# Spanish and Italian ones at least 0.37, in Russian ones 0.77.
PIECES = 0.3
CUT = 0.1
ALIKE = 0.01  # share of items with another's text that is told
MOSTLY_SINGLE = 0.5
NONE = VariantColumns()
NATIVE = "it knows the words of these texts, and comes with the packages"
FOREIGN = "it reads any language, and needs no download"
REASONS = {
    "network": "linear and mlp lose about as much, and train longer",
    "search_beam": "the greedy search, 1, loses more on most catalogues",
    "policy": "items with the same codes keep them and get a number; reassign makes one length",
}
MULTILINGUAL = "paraphrase-multilingual-MiniLM-L12-v2"


@dataclass(frozen=True)
class Proposal:
    """What to fit a catalogue with.

    Attributes:
        reasons: a sentence for the options `encoder`, `levels`, `network`, `search_beam`, `policy`.
    """

    encoder: str
    shape: Shape
    network: str
    search_beam: int
    policy: str
    reasons: Mapping[str, str]


def proposal(items: int, texts: TextProfile | None) -> Proposal:
    """Propose an encoder, levels × size, a network, a beam and a policy.

    The shape follows the number of different texts. The default network and beam were best, or as
    good as the best, on all catalogues of the study (`python -m tests.bench.shapes`).

    Args:
        texts: as the default encoder reads them; None if they were not read.
    """
    foreign = texts is not None and is_foreign(texts)
    encoder = NGRAMS if foreign else DEFAULT_ENCODER
    copies = 0 if texts is None else texts.identical_items - texts.identical_groups
    shape = proposed_shape(items - copies)
    reasons = REASONS | {
        "encoder": FOREIGN if foreign else NATIVE,
        "levels": _of_shape(items - copies, shape),
    }
    usual = FitConfig()
    network, beam = usual.autoencoder.network, usual.quantizer.search_beam
    return Proposal(encoder, shape, network, beam, "suffix", reasons)


def _of_shape(different: int, shape: Shape) -> str:
    share = different / shape.codebook_size**2
    mean = f"{share:,.0f}" if share >= 10 else f"{share:.1f}"
    return (
        f"a prefix of two codes has {mean} of the {different:,} different texts on average, so "
        f"that most share it; larger codebooks lose less, and leave more of them alone"
    )


def is_foreign(texts: TextProfile) -> bool:
    """Return whether texts are in a language that their encoder does not know."""
    return texts.unknown > UNKNOWN or texts.pieces > PIECES


def title_verdicts(fields: Sequence[FieldProfile], better: str | None) -> list[str]:
    """Tell an empty title.

    Args:
        better: a column that looks more like titles; None if there is none.
    """
    title = next((each for each in fields if each.field == "title"), None)
    hint = "" if better is None else f": did you mean --column title={better}?"
    if title is None:
        return [f"no column is the title{hint}"] if hint else []
    if 1 - title.filled <= EMPTY:
        return []
    return [f"title ({title.column}) is empty in {1 - title.filled:.0%} of the rows{hint}"]


def text_verdicts(
    texts: TextProfile, items: int, encoder: str, variants: VariantColumns = NONE
) -> list[str]:
    """Tell languages that the encoder does not know, cut texts and identical texts.

    Args:
        variants: columns that tell items with the same text apart.
    """
    found = []
    if is_foreign(texts):
        share = (
            f"{texts.unknown:.0%} of the tokens are unknown to {encoder}"
            if texts.unknown > UNKNOWN
            else f"{encoder} knows few of the words whole ({texts.pieces:.0%} of the tokens are "
            f"pieces of words)"
        )
        found.append(
            f"{share}: the texts are in a language that it was not trained on, and items would "
            f"group by spelling; take --encoder {MULTILINGUAL} (downloaded by name, or its "
            f"folder), or --encoder {NGRAMS}, which needs no download"
        )
    if texts.cut > CUT:
        found.append(
            f"{texts.cut:.0%} of the texts are longer than {encoder} reads; their ends are lost: "
            f"put what matters first in --text-fields"
        )
    if texts.identical_items > ALIKE * items:
        found.append(
            f"{texts.identical_items:,} items share their text with another "
            f"({texts.identical_groups:,} texts) and get the same codes; {_remedy(variants)}"
        )
    return found


def _remedy(variants: VariantColumns) -> str:
    ways = []
    if variants.parent is not None:
        ways.append(
            f"if they are variants of one item, take --column item_id={variants.parent} "
            f"--dedupe first"
        )
    if variants.apart:
        ways.append(f"to tell them apart, add {', '.join(variants.apart)} to --text-fields")
    return "; ".join(ways) or "a field that tells them apart in --text-fields mends it"


def shape_verdicts(items: int, codebook_size: int) -> list[str]:
    """Tell a codebook so large that a prefix of two codes is a single item."""
    better = proposed_shape(items)
    options = f"--levels {better.levels} --codebook-size {better.codebook_size}"
    if items < codebook_size:
        told = (
            f"{items:,} items are fewer than the {codebook_size} codewords of a level, some of "
            f"which no item can have; {better} ({options}) gives prefixes that items share"
        )
        return [told]
    single = single_prefixes(items, codebook_size)
    if single <= MOSTLY_SINGLE or better.codebook_size >= codebook_size:
        return []
    told = (
        f"with codebooks of {codebook_size}, up to {single:.0%} of the two-code prefixes would be "
        f"single items; {better} ({options}) gives prefixes that items share, at a larger error"
    )
    return [told]
