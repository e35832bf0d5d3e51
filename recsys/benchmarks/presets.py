"""How large a benchmark is: which models, how trained, and the tokenizers under them."""

from collections.abc import Mapping
from dataclasses import dataclass

from recsys.causal_transformer import TowerConfig
from recsys.dual_encoder import DualEncoderConfig
from recsys.models import Shape
from recsys.tiger_recommender import TigerRecommenderConfig
from recsys.training import TrainingConfig

__all__ = ["MODELS", "PRESETS", "Model", "Preset"]


@dataclass(frozen=True)
class Model:
    """One row of a table: the shape of a model, and how it is trained."""

    shape: Shape
    training: TrainingConfig

    @property
    def quantized(self) -> bool:
        """Whether it reads semantic IDs, so that each quantizer makes another one."""
        if isinstance(self.shape, DualEncoderConfig):
            return "codes" in self.shape.parts
        return isinstance(self.shape, TigerRecommenderConfig)


@dataclass(frozen=True)
class Preset:
    """The models by name, and what differs from the tokenizers' defaults.

    Attributes:
        default: the models of a run that names none.
        tokenizer: fields of the tokenizer's configuration, as `semid fit --set` takes them.
    """

    models: Mapping[str, Model]
    default: tuple[str, ...]
    tokenizer: Mapping[str, int | float | str]


def _models(
    tower: TowerConfig,
    tiger: TigerRecommenderConfig,
    training: TrainingConfig,
    tiger_training: TrainingConfig,
) -> dict[str, Model]:
    both = {
        "dual-encoder": DualEncoderConfig(("codes",), tower=tower),
        "dual-encoder-residual": DualEncoderConfig(("codes", "dense"), tower=tower),
        "dual-encoder-in-batch": DualEncoderConfig(("codes",), "projected", "in_batch", tower),
        "dual-encoder-content": DualEncoderConfig(("content", "dense"), tower=tower),
    }
    return {
        "sasrec": Model(tower, training),
        **{name: Model(shape, training) for name, shape in both.items()},
        "tiger": Model(tiger, tiger_training),
    }


_TOWER, _SMALL = TowerConfig(), TowerConfig(width=32, heads=2, feedforward=64)
_TIGER = TigerRecommenderConfig()
_SMALL_TIGER = TigerRecommenderConfig(
    width=32, heads=2, head_width=16, hidden=64, layers=1, beams=20, validation_beams=10
)
_QUICK = TrainingConfig(
    epochs=10, patience=10, learning_rate=2e-3, schedule="cosine", precision="bf16"
)
_SMOKE = TrainingConfig(epochs=2, patience=2, batch_size=64, warmup_steps=5)
_LONG = TrainingConfig(epochs=200, patience=10, precision="bf16")
_USUAL = ("sasrec", "dual-encoder", "dual-encoder-residual")

PRESETS = {
    "smoke": Preset(
        _models(_SMALL, _SMALL_TIGER, _SMOKE, _SMOKE),
        (*_USUAL, "tiger"),
        {"steps": 40, "warmup_steps": 20, "codebook_size": 16, "levels": 3},
    ),
    "quick": Preset(_models(_TOWER, _SMALL_TIGER, _QUICK, _QUICK), _USUAL, {"steps": 1500}),
    "paper": Preset(
        _models(
            _TOWER,
            _TIGER,
            _LONG,
            TrainingConfig(
                epochs=200, patience=10, warmup_steps=2000, weight_decay=0.05, precision="bf16"
            ),
        ),
        (*_USUAL, "tiger"),
        {},
    ),
}
MODELS = tuple(PRESETS["paper"].models)
