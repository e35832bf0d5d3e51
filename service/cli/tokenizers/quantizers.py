"""`semid quantizers`: a list of the quantizers."""

import re
import sys
from dataclasses import dataclass

from service.cli.terminal.console import print_json, print_table
from service.cli.terminal.options import JsonOption

__all__ = ["ListedQuantizer", "QuantizersSettings", "listed_quantizers", "quantizers"]

SOURCE = re.compile(r" ?\(([^()]*(?:arXiv|[12][0-9]{3})[^()]*)\)")
# Sources of quantizers whose module's first line names no paper.
SOURCES = {
    "ema": "VQ-VAE-2, arXiv 1906.00446",
    "kmeans": "QARM, arXiv 2411.11739",
    "pq": "Jégou et al., TPAMI 2011",
    "rq_faiss": "FAISS, arXiv 2401.08281",
}


class QuantizersSettings(JsonOption):
    """The options of `semid quantizers`."""

    command = "quantizers"


@dataclass(frozen=True)
class ListedQuantizer:
    """One line of the list.

    Attributes:
        by_distance: whether codes are chosen by distance, so that a search beam helps.
    """

    name: str
    what: str
    source: str
    by_distance: bool


def listed_quantizers() -> list[ListedQuantizer]:
    """Return each quantizer with its module's first line and the source in that line."""
    from tokenizer.quantizers import QUANTIZERS

    listed = []
    for name, kind in QUANTIZERS.items():
        line = (sys.modules[kind.__module__].__doc__ or "").partition("\n")[0]
        found = SOURCE.search(line)
        source = found[1] if found else SOURCES[name]
        what = line.replace(found[0], "") if found else line
        listed.append(ListedQuantizer(name, what.rstrip("."), source, kind.by_distance))
    return listed


def quantizers(settings: QuantizersSettings) -> None:
    """List the quantizers that semid fit --quantizer takes, with their sources.

    Example: semid quantizers --json
    """
    listed = listed_quantizers()
    if settings.as_json:
        print_json(listed)
        return
    rows = [(each.name, each.what, each.source) for each in listed]
    print_table(("quantizer", "what it is", "source"), rows)
