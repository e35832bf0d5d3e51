"""The service's metrics for Prometheus."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from tokenizer.pipeline import Pipeline

__all__ = ["Telemetry"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
TIME_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
DISTORTION_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 4.0)
RECENT = 1000


class Telemetry:
    """The metrics of one application.

    Labels are route templates, stages, statuses and loaded tokenizers, so requests cannot add
    labels without bound. The stages are `registry`, `encode`, `quantize` and `similar`, and `queue`
    for the time that jobs wait for one of these. All tokenizers share the stages.
    """

    def __init__(self) -> None:
        self._metrics = CollectorRegistry()
        ProcessCollector(registry=self._metrics)
        PlatformCollector(registry=self._metrics)
        self._requests = Counter(
            "semid_requests", "Requests answered.", ["method", "route", "status"],
            registry=self._metrics,
        )  # fmt: skip
        self._seconds = Histogram(
            "semid_request_seconds", "Seconds until a request was answered.", ["method", "route"],
            buckets=TIME_BUCKETS, registry=self._metrics,
        )  # fmt: skip
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._stages = Histogram(
            "semid_stage_seconds", "Seconds of a micro-batch in a stage, or of a job in the queue.",
            ["stage"], buckets=TIME_BUCKETS, registry=self._metrics,
        )  # fmt: skip
        self._batches = Histogram(
            "semid_batch_items", "Items in a micro-batch.", ["stage"],
            buckets=SIZE_BUCKETS, registry=self._metrics,
        )  # fmt: skip
        self._depths = Gauge(
            "semid_queue_items", "Items that wait for a stage; admitted: items of open requests.",
            ["stage"], registry=self._metrics,
        )  # fmt: skip
        self._items = Counter(
            "semid_items", "Items that requests asked IDs for: created, or known already.",
            ["status"], registry=self._metrics,
        )  # fmt: skip
        self._created, self._known = map(self._items.labels, ("created", "known"))
        self._lines = Counter(
            "semid_bulk_lines", "Lines of bulk requests, by the status of each line.",
            ["status"], registry=self._metrics,
        )  # fmt: skip
        self._indexed = Gauge(
            "semid_index_items", "Items in the index.", ["tokenizer"], registry=self._metrics
        )
        self._scanned = Gauge(
            "semid_index_scanned_lists", "Lists that a search scans; 0 for all.",
            ["tokenizer"], registry=self._metrics,
        )  # fmt: skip
        self._index_recall = Gauge(
            "semid_index_recall_at_10", "Measured share of the ten nearest that a search finds.",
            ["tokenizer"], registry=self._metrics,
        )  # fmt: skip
        self._default = Gauge(
            "semid_default_tokenizer", "1 for the default tokenizer.",
            ["tokenizer"], registry=self._metrics,
        )  # fmt: skip
        self._recall = Gauge(
            "semid_similar_recall",
            "Share of the 10 items of the highest cosine that are found: by codes alone, or by "
            "vectors. NaN: not measured, or no vectors are kept.",
            ["way", "tokenizer"], registry=self._metrics,
        )  # fmt: skip
        self._waiting: defaultdict[str, list[Callable[[], int]]] = defaultdict(list)
        self._distortion = Histogram(
            "semid_new_item_distortion", "Distortion of items to which this service gave an ID.",
            ["tokenizer"], buckets=DISTORTION_BUCKETS, registry=self._metrics,
        )  # fmt: skip
        self._training = Gauge(
            "semid_training_distortion", "Mean distortion when the tokenizer was fitted.",
            ["split", "tokenizer"], registry=self._metrics,
        )  # fmt: skip
        self._drift = Gauge(
            "semid_distortion_drift",
            f"Mean distortion of the last {RECENT} new items, divided by that of held-out items in "
            f"training. Well over 1: the tokenizer fits new items badly. 0: none yet.",
            ["tokenizer"], registry=self._metrics,
        )  # fmt: skip

    def expose(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self._metrics)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request and its seconds."""
        key = (method if method in METHODS else "other", route, status)
        found = self._answers.get(key)
        if found is None:
            found = (
                self._requests.labels(key[0], route, str(status)),
                self._seconds.labels(key[0], route),
            )
            self._answers[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def tokenized(self, items: int, created: int) -> None:
        """Count the items of a request; `created` of them were new."""
        self._created.inc(created)
        self._known.inc(items - created)

    def bulk_line(self, status: int) -> None:
        """Count a line of a bulk request."""
        self._lines.labels(str(status)).inc()

    def expose_tokenizer(
        self, pipeline: Pipeline, items: Callable[[], int], default: Callable[[], bool]
    ) -> None:
        """Expose a loaded tokenizer's index size, and whether it is the default."""
        tokenizer = pipeline.fingerprint[:16]
        self._indexed.labels(tokenizer).set_function(items)
        self._default.labels(tokenizer).set_function(default)

    def expose_recall(self, pipeline: Pipeline, recalls: Mapping[str, Callable[[], float]]) -> None:
        """Expose the shares of a tokenizer's nearest items that are found, by way of finding."""
        for way, share in recalls.items():
            self._recall.labels(way, pipeline.fingerprint[:16]).set_function(share)

    def expose_scan(self, pipeline: Pipeline, searched: Callable[[], dict[str, float]]) -> None:
        """Expose how a tokenizer's index is searched, as `Catalogue.searched` returns it."""
        tokenizer = pipeline.fingerprint[:16]
        self._scanned.labels(tokenizer).set_function(lambda: searched()["scanned_lists"])
        self._index_recall.labels(tokenizer).set_function(lambda: searched()["recall_at_10"])

    def batch_observer(self, stage: str) -> Callable[[Sequence[float], int], None]:
        """Return a callback for a stage's batches: it takes each job's wait in s and the size."""
        batches = self._batches.labels(stage)
        queue = self._stages.labels("queue")

        def begin(waited: Sequence[float], size: int) -> None:
            batches.observe(size)
            for seconds in waited:
                queue.observe(seconds)

        return begin

    def expose_waiting(self, stage: str, items: Callable[[], int]) -> None:
        """Expose how many items wait for a stage; calls for one stage add up."""
        waiting = self._waiting[stage]
        waiting.append(items)
        self._depths.labels(stage).set_function(lambda: sum(one() for one in waiting))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure the block as one batch of a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(stage).observe(time.perf_counter() - started)

    def of_new_items(self, pipeline: Pipeline) -> Callable[[Sequence[float]], None]:
        """Return a callback that takes the distortions of items to which a tokenizer gave an ID."""
        tokenizer = pipeline.fingerprint[:16]
        trained = float(pipeline.metrics["train_error"])
        held_out = pipeline.metrics["held_out_error"]  # None if no item was held out
        usual = trained if held_out is None else float(held_out)
        self._training.labels("train", tokenizer).set(trained)
        if held_out is not None:
            self._training.labels("held_out", tokenizer).set(usual)
        observed = self._distortion.labels(tokenizer)
        recent: deque[float] = deque(maxlen=RECENT)

        def registered(distortions: Sequence[float]) -> None:
            for distortion in distortions:
                observed.observe(distortion)
            recent.extend(distortions)

        def drift() -> float:
            last = list(recent)
            return sum(last) / len(last) / usual if last and usual else 0.0

        self._drift.labels(tokenizer).set_function(drift)
        return registered
