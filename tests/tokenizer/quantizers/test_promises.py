"""Every estimator keeps its promises, and no promise holds for an estimator that is wrong."""

import pytest

from tests.tokenizer.quantizers.promises import PROMISES


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_estimators_keep_their_promises(name: str) -> None:
    PROMISES[name]()
