"""Named models: their shapes, and the size and length of training in each preset."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from data_prep.names import check_name
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoderConfig
from recsys.models.shapes import Shape, reads_codes
from recsys.models.tiger import TigerRecommenderConfig
from recsys.training.config import TrainingConfig

__all__ = ["MODELS", "PRESETS", "Model", "Preset", "preset_named"]


@dataclass(frozen=True)
class Model:
    """A model's shape and the configuration of its training."""

    shape: Shape
    training: TrainingConfig

    @property
    def quantized(self) -> bool:
        """Whether the model reads semantic IDs; a benchmark trains it once for each quantizer."""
        return reads_codes(self.shape)


@dataclass(frozen=True)
class Preset:
    """A named set of models, and the tokenizer options that differ from the defaults.

    Attributes:
        default: the models of a benchmark for which none are named.
        tokenizer: fields of the tokenizer's configuration, as `semid fit --set` takes them.
    """

    name: str
    models: Mapping[str, Model]
    default: tuple[str, ...]
    tokenizer: Mapping[str, int | float | str]

    def model(self, name: str) -> Model:
        """Return a model by its name.

        Raises:
            InputError: there is no model of this name.
        """
        check_name("model", name, self.models)
        return self.models[name]


def _models(usual: Model, coded: Model, tiger: Model) -> dict[str, Model]:
    """Return all models by name; those with -repeats learn whether users come back to an item.

    Args:
        usual: shape and training of models with rows for items or prefixes.
        coded: shape and training of models that only sum rows of codes; they have far fewer
            weights.
        tiger: shape and training of tiger.
    """
    again = _scoring(_with_repeats(usual), _with_repeats(coded))
    return {
        **_scoring(usual, coded),
        **{f"{name}-repeats": model for name, model in again.items()},
        "dual-encoder-in-batch": _dual(coded, "codes", outputs="projected", loss="in_batch"),
        "tiger": tiger,
    }


def _with_repeats(model: Model) -> Model:
    assert isinstance(model.shape, TowerConfig)
    return replace(model, shape=replace(model.shape, repeats=True))


def _scoring(usual: Model, coded: Model) -> dict[str, Model]:
    return {
        "sasrec": usual,
        "dual-encoder": _dual(coded, "codes"),
        "dual-encoder-prefixes": _dual(usual, "codes", "prefixes"),
        "dual-encoder-residual": _dual(usual, "codes", "dense"),
        "dual-encoder-prefixes-residual": _dual(usual, "codes", "prefixes", "dense"),
        "dual-encoder-content": _dual(usual, "content", "dense"),
    }


def _dual(like: Model, *parts: str, outputs: str = "tied", loss: str = "full") -> Model:
    assert isinstance(like.shape, TowerConfig)
    return Model(DualEncoderConfig(parts, outputs, loss, like.shape), like.training)


_SMOKE_TOWER = TowerConfig(width=32, heads=2, feedforward=64)
_SMOKE_TIGER = TigerRecommenderConfig(
    width=32, heads=2, head_width=16, hidden=64, layers=1, beams=20, validation_beams=10
)
_SMOKE = TrainingConfig(epochs=2, patience=2, batch_size=64, warmup_steps=5)
_QUICK = TrainingConfig(
    epochs=10, patience=10, learning_rate=2e-3, schedule="cosine", precision="bf16"
)
_LONG = TrainingConfig(epochs=200, patience=10, precision="bf16")
_LONG_TIGER = replace(_LONG, warmup_steps=2000, weight_decay=0.05, validation_users=5000)
_LIGHT = TowerConfig(dropout=0.2)
_USUAL = ("sasrec", "dual-encoder", "dual-encoder-prefixes", "dual-encoder-prefixes-repeats")

_PRESETS = (
    Preset(
        "smoke",
        _models(
            Model(_SMOKE_TOWER, _SMOKE), Model(_SMOKE_TOWER, _SMOKE), Model(_SMOKE_TIGER, _SMOKE)
        ),
        (*_USUAL, "tiger"),
        {"steps": 40, "warmup_steps": 20, "codebook_size": 16, "levels": 3},
    ),
    Preset(
        "quick",
        _models(
            Model(TowerConfig(), _QUICK),
            Model(_LIGHT, replace(_QUICK, learning_rate=4e-3)),
            Model(replace(_SMOKE_TIGER, width=64, hidden=128, layers=2), _QUICK),
        ),
        _USUAL,
        {"steps": 1500},
    ),
    Preset(
        "paper",
        _models(
            Model(TowerConfig(), _LONG),
            Model(_LIGHT, _LONG),
            Model(TigerRecommenderConfig(), _LONG_TIGER),
        ),
        (*_USUAL, "tiger"),
        {},
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}
MODELS = tuple(PRESETS["paper"].models)


def preset_named(name: str) -> Preset:
    """Return a preset by its name.

    Raises:
        InputError: there is no preset of this name.
    """
    check_name("preset", name, PRESETS)
    return PRESETS[name]
