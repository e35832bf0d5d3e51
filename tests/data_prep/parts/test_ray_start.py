"""Ray's start on a machine that is too busy for it at first."""

import pytest

from data_prep.errors import InputError
from data_prep.parts import ray_engine


class _LateRay:
    """Stands for Ray where its node does not start in time; the real one does so by chance."""

    def __init__(self, late: int) -> None:
        self.late, self.starts, self.stops = late, 0, 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.starts <= self.late:
            raise Exception("The current node timed out during startup.\nmore")  # noqa: TRY002

    def shutdown(self) -> None:
        self.stops += 1


def test_ray_is_started_again_if_it_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    late = _LateRay(ray_engine.STARTS - 1)
    ray_engine._start(late)
    assert (late.starts, late.stops) == (ray_engine.STARTS, ray_engine.STARTS - 1)
    with pytest.raises(InputError, match=r"timed out during startup\.; try again when"):
        ray_engine._start(_LateRay(ray_engine.STARTS))


def test_a_named_cluster_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    late = _LateRay(1)
    with pytest.raises(InputError, match=r"check RAY_ADDRESS=10.0.0.1:6379"):
        ray_engine._start(late)
    assert late.starts == 1
