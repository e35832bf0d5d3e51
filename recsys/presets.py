"""Named models: their shapes, and the size and length of training in each preset."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from data_prep.names import check_name
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.tiger import TigerRecommenderConfig
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoderConfig
from recsys.models.sasrec import EsasrecConfig
from recsys.shapes import Shape, reads_codes, reads_content
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

    @property
    def reads_content(self) -> bool:
        """Whether the model reads content vectors."""
        return reads_content(self.shape)


@dataclass(frozen=True)
class Preset:
    """A named set of models, and the tokenizer options that differ from the defaults.

    Attributes:
        default: the models of a benchmark for which none are named.
        tokenizer: fields of the tokenizer's configuration, as `semid fit --set` takes them.
        quantizers: of a benchmark for which none are named; `dense` is one code an item.
        finalists: how many tokenizers go on to further seeds after the first one, by validation; 0
            for all.
        seeds: of a benchmark for which their number is not given.
    """

    name: str
    models: Mapping[str, Model]
    default: tuple[str, ...]
    tokenizer: Mapping[str, int | float | str]
    quantizers: tuple[str, ...] = ("grit",)
    finalists: int = 0
    seeds: int = 1

    def model(self, name: str) -> Model:
        """Return a model by its name.

        Raises:
            InputError: there is no model of this name.
        """
        check_name("model", name, self.models)
        return self.models[name]


NEW_ITEMS = 0.1  # share of the items that a step takes as new, in models with -new


def _models(usual: Model, coded: Model, tiger: Model, generator: Model) -> dict[str, Model]:
    """Return all models by name; those with -repeats learn whether users come back to an item.

    Args:
        usual: shape and training of models with rows for items or prefixes.
        coded: shape and training of models that only sum rows of codes; they have far fewer
            weights.
        tiger: shape and training of tiger.
        generator: shape and training of generators.
    """
    again = _scoring(_with_repeats(usual), _with_repeats(coded))
    return {
        **_scoring(usual, coded),
        **{f"{name}-repeats": model for name, model in again.items()},
        "dual-encoder-in-batch": _dual(coded, "codes", outputs="projected", loss="in_batch"),
        "esasrec": _esasrec(usual),
        "generator": generator,
        "generator-nearness": _changed(generator, nearness="codes"),
        "generator-nearness-transitions": _changed(generator, nearness="codes", transitions=True),
        "generator-nearness-transitions-cold": _changed(
            generator, nearness="codes", transitions=True, new_items=True
        ),
        "generator-nearness-new": _changed(generator, nearness="codes", drop_rows=NEW_ITEMS),
        "tiger": tiger,
    }


def _with_repeats(model: Model) -> Model:
    assert isinstance(model.shape, TowerConfig)
    return replace(model, shape=replace(model.shape, repeats=True))


def _scoring(usual: Model, coded: Model) -> dict[str, Model]:
    prefixes = _dual(usual, "codes", "prefixes")
    return {
        "sasrec": usual,
        "sasrec-nearness": _changed(_dual(usual, "dense"), nearness="codes"),
        "sasrec-transitions": _changed(_dual(usual, "dense"), transitions=True),
        "dual-encoder": _dual(coded, "codes"),
        "dual-encoder-nearness": _changed(_dual(coded, "codes"), nearness="codes"),
        "dual-encoder-prefixes": prefixes,
        "dual-encoder-prefixes-nearness": _changed(prefixes, nearness="codes"),
        "dual-encoder-prefixes-nearness-new": _changed(
            prefixes, nearness="codes", drop_rows=NEW_ITEMS
        ),
        "dual-encoder-prefixes-transitions": _changed(prefixes, transitions=True),
        "dual-encoder-prefixes-nearness-transitions": _changed(
            prefixes, nearness="codes", transitions=True
        ),
        "dual-encoder-residual": _dual(usual, "codes", "dense"),
        "dual-encoder-prefixes-residual": _dual(usual, "codes", "prefixes", "dense"),
        "dual-encoder-content": _dual(usual, "content", "dense"),
        "dual-encoder-content-nearness": _changed(
            _dual(usual, "content", "dense"), nearness="content"
        ),
    }


def _dual(like: Model, *parts: str, outputs: str = "tied", loss: str = "full") -> Model:
    assert isinstance(like.shape, TowerConfig)
    return Model(DualEncoderConfig(parts, outputs, loss, like.shape), like.training)


def _changed(model: Model, **changes: Any) -> Model:
    return replace(model, shape=replace(model.shape, **changes))


def _esasrec(like: Model) -> Model:
    assert isinstance(like.shape, TowerConfig)
    return replace(like, shape=EsasrecConfig(**asdict(like.shape) | {"gated": True}))


_SMOKE_TOWER = TowerConfig(width=32, heads=2, feedforward=64)
_SMOKE_TIGER = TigerRecommenderConfig(
    width=32, heads=2, head_width=16, hidden=64, layers=1, beams=20, validation_beams=10
)
_SMOKE_GENERATOR = GeneratorConfig(tower=_SMOKE_TOWER, beams=20, validation_beams=10)
_SMOKE = TrainingConfig(epochs=2, patience=2, batch_size=64, warmup_steps=5)
_QUICK = TrainingConfig(
    epochs=10, patience=10, learning_rate=2e-3, schedule="cosine", precision="bf16"
)
_QUICK_GENERATOR = replace(_QUICK, validation_users=4000, evaluate_every=5, precision="fp32")
_LONG = TrainingConfig(epochs=200, patience=10, precision="bf16")
_LONG_TIGER = replace(_LONG, warmup_steps=2000, weight_decay=0.05, validation_users=5000)
_TUNED = TrainingConfig(
    epochs=10,
    patience=5,
    evaluate_every=2,
    learning_rate=2e-3,
    schedule="cosine",
    precision="bf16",
    candidates="without_history",
)
_TUNED_GENERATOR = replace(
    _TUNED,
    epochs=15,
    evaluate_every=3,
    batch_size=512,
    warmup_steps=50,
    validation_users=4000,
    candidates="all",
)
_USUAL_TOWER, _LIGHT = TowerConfig(dropout=0.3), TowerConfig(dropout=0.2)
_USUAL = ("sasrec", "dual-encoder", "dual-encoder-prefixes", "dual-encoder-prefixes-repeats")
_BEST = (
    "sasrec",
    "esasrec",
    "dual-encoder-prefixes-nearness-transitions",
    "generator-nearness-transitions",
)

_TUNED_MODELS = _models(
    Model(_USUAL_TOWER, _TUNED),
    Model(_LIGHT, replace(_TUNED, learning_rate=4e-3)),
    Model(TigerRecommenderConfig(), _LONG_TIGER),
    Model(GeneratorConfig(), _TUNED_GENERATOR),
)
_TABLE5 = ("grit", "rqvae", "ema", "simvq", "diveq", "kmeans", "lsh", "dense")

_PRESETS = (
    Preset(
        "smoke",
        _models(
            Model(_SMOKE_TOWER, _SMOKE),
            Model(_SMOKE_TOWER, _SMOKE),
            Model(_SMOKE_TIGER, _SMOKE),
            Model(_SMOKE_GENERATOR, _SMOKE),
        ),
        (*_USUAL, "generator", "tiger"),
        {"steps": 40, "warmup_steps": 20, "codebook_size": 16, "levels": 3},
    ),
    Preset(
        "quick",
        _models(
            Model(_USUAL_TOWER, _QUICK),
            Model(_LIGHT, replace(_QUICK, learning_rate=4e-3)),
            Model(replace(_SMOKE_TIGER, width=64, hidden=128, layers=2), _QUICK),
            Model(GeneratorConfig(), _QUICK_GENERATOR),
        ),
        _USUAL,
        {"steps": 1500},
    ),
    Preset(
        "tuned",
        _TUNED_MODELS,
        _BEST,
        {"network": "identity", "search_beam": 5, "steps": 240, "batch_size": 512},
    ),
    # GRIT-VQ, arXiv 2602.01140, Tables 5 (a) and 6; `ema` stands for its VQ-VAE.
    Preset(
        "table5",
        _TUNED_MODELS,
        ("generator",),
        {"levels": 4, "codebook_size": 256, "steps": 600, "batch_size": 512},
        _TABLE5,
        finalists=4,
        seeds=3,
    ),
    Preset(
        "paper",
        _models(
            Model(TowerConfig(), _LONG),
            Model(_LIGHT, _LONG),
            Model(TigerRecommenderConfig(), _LONG_TIGER),
            Model(GeneratorConfig(), replace(_LONG, validation_users=5000)),
        ),
        (*_USUAL, "generator", "tiger"),
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
