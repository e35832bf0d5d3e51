"""Every estimator keeps its promises, and no promise holds for an estimator that is wrong."""

import pytest

from tests.tokenizer.quantizers.mutations import MUTATIONS
from tests.tokenizer.quantizers.promises import PROMISES


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_estimators_keep_their_promises(name: str) -> None:
    PROMISES[name]()


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_a_wrong_estimator_breaks_its_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an assertion, or because there is no gradient at all where one is promised."""
    mutation = MUTATIONS[name]
    mutation.apply(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        PROMISES[mutation.promise]()


def test_every_promise_can_be_broken() -> None:
    assert {mutation.promise for mutation in MUTATIONS.values()} == set(PROMISES)
