"""Named search models, and the size and length of their training in each preset."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from data_prep.names import check_name
from recsys.models.causal_transformer import TowerConfig
from recsys.search.model import SearchConfig
from recsys.search.training import SearchTraining

__all__ = ["MODELS", "PRESETS", "SearchPreset", "preset_named"]

MODELS: Mapping[str, SearchConfig] = {
    "dual-encoder": SearchConfig(("codes",)),
    "dual-encoder-query": SearchConfig(("codes",), history=False),
    "dual-encoder-dense": SearchConfig(("dense",)),
    "dual-encoder-content": SearchConfig(("content",)),
    "dual-encoder-content-query": SearchConfig(("content",), history=False),
}


FULL_UP_TO = 50_000  # items; the full softmax over more would take too long


@dataclass(frozen=True)
class SearchPreset:
    """The query tower, the training, and tokenizer options that differ from the defaults.

    Attributes:
        loss: `full` is used up to `FULL_UP_TO` items, and `in_batch` beyond.
    """

    name: str
    tower: TowerConfig
    training: SearchTraining
    tokenizer: Mapping[str, int | float | str]
    loss: str = "in_batch"

    def shape(self, model: str, items: int) -> SearchConfig:
        """Return the shape of a model in this preset, for a catalogue of so many items."""
        loss = self.loss if items <= FULL_UP_TO else "in_batch"
        return replace(MODELS[model], tower=self.tower, loss=loss)


_TOWER = TowerConfig(width=128, layers=2, heads=4, feedforward=256, dropout=0.2)
PRESETS = {
    preset.name: preset
    for preset in (
        SearchPreset(
            "smoke",
            replace(_TOWER, width=32, layers=1, heads=2, feedforward=64),
            SearchTraining(epochs=4, batch_size=128, learning_rate=5e-3, warmup_steps=5),
            {"steps": 60, "warmup_steps": 20, "codebook_size": 16, "levels": 3, "batch_size": 128},
        ),
        SearchPreset(
            "light",
            replace(_TOWER, width=64, layers=1, heads=2, feedforward=128, dropout=0.1, history=10),
            SearchTraining(epochs=8, batch_size=512, learning_rate=3e-3, warmup_steps=50),
            {"steps": 400},
        ),
        SearchPreset(
            "quick",
            _TOWER,
            SearchTraining(epochs=15, learning_rate=2e-3),
            {"steps": 1500},
            loss="full",
        ),
        # GRIT-VQ (arXiv 2602.01140), G.4: in-batch softmax, warm-up and cosine, Recall@50.
        SearchPreset(
            "paper",
            replace(_TOWER, feedforward=512, history=50),
            SearchTraining(epochs=50, warmup_steps=1000, patience=10),
            {},
        ),
    )
}


def preset_named(name: str) -> SearchPreset:
    """Return a preset by its name.

    Raises:
        InputError: there is no preset of this name.
    """
    check_name("preset", name, PRESETS)
    return PRESETS[name]
