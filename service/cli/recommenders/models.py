"""`semid models`: a list of the recommenders."""

from service.cli.terminal.console import print_json, print_table
from service.cli.terminal.options import JsonOption

__all__ = ["DESCRIPTIONS", "ModelsSettings", "models"]

SASREC = "Kang & McAuley, ICDM 2018"
DUAL = "GRIT-VQ, arXiv 2602.01140, G.4"
# A description and the source of each model.
DESCRIPTIONS = {
    "sasrec": ("dense IDs under a causal Transformer, softmax over all items", SASREC),
    "esasrec": ("SASRec with gated layers and drawn negatives", "eSASRec, RecSys 2025"),
    "dual-encoder": ("an item is the sum of its codes' embeddings", DUAL),
    "dual-encoder-prefixes": ("codes, and embeddings of the first codes together", DUAL),
    "dual-encoder-residual": ("codes, and a learnt vector of each item", DUAL),
    "dual-encoder-prefixes-residual": ("codes, prefixes, and a learnt vector of each item", DUAL),
    "dual-encoder-content": ("content vectors, and a learnt vector of each item", DUAL),
    "dual-encoder-in-batch": ("codes, with a softmax over the batch's items", DUAL),
    "generator": (
        "writes the next item's ID; one Transformer reads items, another writes codes",
        "RQ-Transformer, CVPR 2022",
    ),
    "tiger": ("writes the next item's ID, code by code", "TIGER, arXiv 2305.05065"),
}
# What the ends of a model's name add to it, the last end first.
ENDS = {
    "-repeats": "; learns whether people come back to an item",
    "-cold": "; puts items that nobody took yet among those it found",
    "-new": "; learns to rank new items",
    "-transitions": "; and what others took after the last ones",
    "-nearness": "; and how near an item is to the last ones",
}


class ModelsSettings(JsonOption):
    """The options of `semid models`."""

    command = "models"


def models(settings: ModelsSettings) -> None:
    """List the models that semid train --model takes, with their sources.

    Example: semid models --json
    """
    from recsys.presets import MODELS, PRESETS

    listed = []
    for name in MODELS:
        what, source = _about(name)
        reads = PRESETS["paper"].models[name].quantized
        listed.append({"name": name, "what": what, "source": source, "semantic_ids": reads})
    if settings.as_json:
        print_json(listed)
        return
    rows = [
        (each["name"], each["what"], "yes" if each["semantic_ids"] else "no", each["source"])
        for each in listed
    ]
    print_table(("model", "what it is", "reads IDs", "source"), rows)


def _about(name: str) -> tuple[str, str]:
    """Return a model's description and source."""
    plain, added = name, ""
    for end, adds in ENDS.items():
        if plain.endswith(end):
            plain, added = plain.removesuffix(end), adds + added
    what, source = DESCRIPTIONS[plain]
    return what + added, source
