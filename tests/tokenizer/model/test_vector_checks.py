"""What can be fitted can be coded, and what cannot is told before hours of work."""

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.model.vector_checks import check_trainable

NOISE = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)


def _with(row: int, factor: float) -> NDArray[np.float32]:
    vectors = NOISE.copy()
    vectors[row] *= factor
    return vectors


def test_times_as_a_column_can_be_fitted(caplog: pytest.LogCaptureFixture) -> None:
    vectors = NOISE.copy()
    vectors[:, 0] = 1.7e9 + 600 * NOISE[:, 0]
    check_trainable(vectors)
    assert not caplog.messages


@pytest.mark.parametrize("factor", [1e-20, 1e14, 1e30])
def test_scales_that_float32_cannot_hold_are_refused_with_the_remedy(factor: float) -> None:
    with pytest.raises(InputError, match=r"multiply all vectors by one number"):
        check_trainable(NOISE * np.float32(factor))


def test_a_vector_that_the_tokenizer_would_refuse_is_refused_before_the_fit() -> None:
    """Row 8 does not train, so the scale does not grow with it."""
    others = np.delete(np.arange(300), 7)
    with pytest.raises(InputError, match=r"row 8 has components beyond 1e\+06"):
        check_trainable(_with(7, 1e8), others)
    check_trainable(_with(7, 1e8))


def test_one_far_item_is_told_and_a_long_tail_is_not(caplog: pytest.LogCaptureFixture) -> None:
    check_trainable(_with(7, 1e4))
    assert "row 8" in caplog.text
    caplog.clear()
    check_trainable(NOISE * np.exp(NOISE[:, :1]))
    check_trainable(np.eye(40, dtype=np.float32))
    check_trainable(NOISE[:2])
    assert not caplog.messages


def test_two_different_vectors_are_the_least() -> None:
    with pytest.raises(InputError, match="too few"):
        check_trainable(NOISE[:1])
    with pytest.raises(InputError, match="the same vector"):
        check_trainable(np.ones((5, 3), dtype=np.float32))
