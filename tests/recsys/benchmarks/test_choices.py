from typing import Any

from recsys.benchmarks.choices import GRID, Choices, changed, finalists
from recsys.presets import preset_named


def _trial(model: str, monitor: float, dropout: float) -> dict[str, Any]:
    options = {"learning_rate": 1e-3, "dropout": dropout}
    return {"cell": {"model": model}, "monitor": monitor, "options": options}


def test_the_best_options_of_each_model_are_chosen_and_passed_on_to_its_kin() -> None:
    trials = [_trial("sasrec", 0.1, 0.3), _trial("sasrec", 0.2, 0.4), _trial("generator", 0.1, 0.6)]
    choices = Choices.of(trials)
    smoke = preset_named("smoke")
    for name, dropout in (("sasrec", 0.4), ("sasrec-repeats", 0.4), ("generator-nearness", 0.6)):
        model = choices.applied(smoke, name).models[name]
        shape: Any = model.shape
        assert getattr(shape, "tower", shape).dropout == dropout
        assert model.training.learning_rate == 1e-3
    assert choices.applied(smoke, "dual-encoder") == smoke


def test_every_model_can_have_the_options_of_the_search() -> None:
    for model in preset_named("tuned").models.values():
        for options in GRID:
            shape: Any = changed(model, options).shape
            assert getattr(shape, "tower", shape).dropout == options["dropout"]


def test_finalists_are_the_best_by_validation_over_all_categories() -> None:
    def record(tokenizer: str, value: float) -> dict[str, Any]:
        return {
            "cell": {"tokenizer": tokenizer},
            "config": {"training": {"candidates": "all", "monitor": "ndcg@10"}},
            "validation": {"all": {"ndcg@10": value}},
        }

    records = [
        *(record("a", value) for value in (0.1, 0.9)),
        *(record("b", value) for value in (0.4, 0.4)),
        *(record("c", value) for value in (0.6, 0.1)),
        record("", 1.0),
        {"cell": {"tokenizer": "d"}},
    ]
    assert finalists(records, 2) == ("a", "b")
    assert finalists(records, 0) == ("a", "b", "c")
