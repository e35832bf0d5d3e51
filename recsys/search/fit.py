"""A search data set with codes → a trained, tested and frozen search model."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from pydantic import TypeAdapter, ValidationError

from data_prep.errors import InputError
from data_prep.storage.record import run_record
from recsys.search.data.dataset import SearchDataset
from recsys.search.presets import SearchPreset
from recsys.search.ranking import CUTOFFS, DEPTH, list_metrics, means
from recsys.search.retrieval import model_lists
from recsys.search.searcher import FrozenSearch, freeze_search
from recsys.search.training import Measured, train_search

__all__ = ["configured", "fit_search"]


def configured(preset: SearchPreset, seed: int, options: Mapping[str, object]) -> SearchPreset:
    """Return a preset with another seed and training.

    Args:
        options: fields of `recsys.search.training.SearchTraining`; a text is read as its type.

    Raises:
        InputError: a field is unknown or cannot have the value.
    """
    fields = asdict(preset.training) | {"seed": seed}
    unknown = sorted(set(options).difference(fields) | ({"seed"} & set(options)))
    if unknown:
        known = ", ".join(name for name in fields if name != "seed")
        raise InputError(f"option {unknown[0]}: no such field; there are {known}")
    try:
        training = TypeAdapter(type(preset.training)).validate_python(fields | dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"option {first['loc'][0]}: {first['msg']}") from error
    return replace(preset, training=training)


def fit_search(
    preset: SearchPreset,
    dataset: SearchDataset,
    device: str = "cpu",
    progress: Callable[[int, int, Measured | None], None] | None = None,
) -> FrozenSearch:
    """Train a dual encoder on codes, keep its best state by validation, and test it.

    Raises:
        InputError: as `recsys.search.training.train_search`.
    """
    result = train_search(
        preset.shape("dual-encoder", dataset.n_items), dataset, preset.training, device, progress
    )
    requests = dataset.requests("test")
    test = {}
    if len(requests):
        lists = model_lists(result.model, dataset, requests, DEPTH)
        cutoffs = [k for k in CUTOFFS if k <= lists.shape[1]]
        test = means(list_metrics(lists, dataset, requests, cutoffs))
    metrics = {
        "test": test,
        "test_requests": len(requests),
        "validation": result.best.validation,
        "best_epoch": result.best.epoch,
        "training": asdict(preset.training),
        "data": dataset.fingerprint,
        "record": run_record(preset.training.seed, dataset.source, result.history[-1].seconds),
    }
    return freeze_search(result.model, dataset, metrics)
