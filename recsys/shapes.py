"""Models from their shapes, and shapes as JSON."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.models.base import NextItemModel
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.models.sasrec import Esasrec, EsasrecConfig, Sasrec

__all__ = [
    "Shape",
    "build_model",
    "plain_shape",
    "reads_codes",
    "reads_content",
    "shape_of",
    "with_dropout",
]

Shape = TowerConfig | DualEncoderConfig | GeneratorConfig | TigerRecommenderConfig
KINDS: dict[str, type[Shape]] = {
    "sasrec": TowerConfig,
    "esasrec": EsasrecConfig,
    "dual-encoder": DualEncoderConfig,
    "generator": GeneratorConfig,
    "tiger": TigerRecommenderConfig,
}


def build_model(shape: Shape, dataset: SequenceDataset) -> NextItemModel:
    """Return a model of this shape with new weights.

    Raises:
        InputError: the data lacks the codes or vectors that the model reads.
    """
    if isinstance(shape, DualEncoderConfig):
        return DualEncoder(shape, dataset)
    if isinstance(shape, GeneratorConfig):
        return Generator(shape, dataset)
    if isinstance(shape, TigerRecommenderConfig):
        return TigerRecommender(shape, dataset)
    if isinstance(shape, EsasrecConfig):
        return Esasrec(shape, dataset)
    return Sasrec(shape, dataset)


def reads_codes(shape: Shape) -> bool:
    """Return whether a model of this shape reads semantic IDs, and so needs a tokenizer."""
    if isinstance(shape, DualEncoderConfig):
        return not {"codes", "prefixes"}.isdisjoint({*shape.parts, shape.nearness})
    return isinstance(shape, GeneratorConfig | TigerRecommenderConfig)


def reads_content(shape: Shape) -> bool:
    """Return whether a model of this shape reads the dataset's content vectors."""
    if isinstance(shape, DualEncoderConfig):
        return "content" in {*shape.parts, shape.nearness}
    return isinstance(shape, GeneratorConfig) and shape.nearness == "content"


def with_dropout(shape: Shape, rate: float) -> Shape:
    """Return a shape whose history-reading network has another dropout."""
    if isinstance(shape, DualEncoderConfig | GeneratorConfig):
        return replace(shape, tower=replace(shape.tower, dropout=rate))
    return replace(shape, dropout=rate)


def plain_shape(shape: Shape) -> dict[str, Any]:
    """Return a shape as plain JSON values."""
    kind = next(name for name, each in KINDS.items() if type(shape) is each)
    plain: dict[str, Any] = json.loads(json.dumps({"kind": kind, **asdict(shape)}))
    return plain


def shape_of(plain: dict[str, Any]) -> Shape:
    """Return the shape that `plain_shape` wrote; missing fields get their defaults.

    Raises:
        InputError: a kind or field that this version does not have.
    """
    given = dict(plain)
    kind = KINDS.get(given.pop("kind", ""))
    if kind is None:
        raise InputError(f"unknown model kind {plain.get('kind')!r}; known are {', '.join(KINDS)}")
    # Dual encoders could once read queries, but none was trained so; `recsys.search` does it.
    if given.get("query_width") == 0:
        del given["query_width"]
    if "tower" in given:
        given["tower"] = _made(TowerConfig, given["tower"])
    if "parts" in given:
        given["parts"] = tuple(given["parts"])
    shape: Shape = _made(kind, given)
    return shape


def _made(kind: type[Any], given: dict[str, Any]) -> Any:
    unknown = set(given).difference(field.name for field in fields(kind))
    if unknown:
        raise InputError(
            f"the model's shape has an unknown field, {min(unknown)!r}; train it again"
        )
    return kind(**given)
