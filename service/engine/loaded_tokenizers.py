"""The tokenizers that a process has loaded, and which of them is the default."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from service.engine.admission import Admission
from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.engine.problem_error import ProblemError
from service.engine.tokenizing import Tokenizing
from service.observability.telemetry import Telemetry
from service.registry.tokenizers import default_tokenizer

__all__ = ["LoadedTokenizers"]

REFRESH_SECONDS = 0.5  # between two refreshes from the database
MEASURE_SECONDS = 5.0  # between two looks whether the items have changed much
logger = logging.getLogger("semid")


class LoadedTokenizers:
    """The loaded tokenizers, by fingerprint.

    The registry's database says which tokenizer is the default, for all processes.

    Attributes:
        telemetry: the metrics of all loaded tokenizers.
        threads: admits the requests that a thread of the pool answers.
        stopping: whether the process has been told to end.
    """

    def __init__(self, catalogues: Sequence[Catalogue], capacity: Capacity) -> None:
        """Load tokenizers of one database; the first is the default until the first refresh.

        Args:
            capacity: the limits of each tokenizer.
        """
        self.telemetry = Telemetry()
        self.stopping = False
        self.threads = Admission(capacity.queue, capacity.timeout)
        self.telemetry.expose_waiting("threads", lambda: self.threads.items)
        self._loaded = {
            one.pipeline.fingerprint: Tokenizing(one, capacity, self.telemetry)
            for one in catalogues
        }
        self._default = next(iter(self._loaded))
        self._failing: set[str] = set()
        self._database = catalogues[0].registry.database
        for one in self:
            catalogue = one.catalogue
            self.telemetry.expose_tokenizer(
                catalogue.pipeline, catalogue.indexed, partial(self.is_default, one)
            )
            self.telemetry.expose_scan(catalogue.pipeline, catalogue.searched)
            self.telemetry.expose_recall(
                catalogue.pipeline,
                {way: partial(catalogue.recall.share, way) for way in ("codes", "vectors")},
            )

    def __iter__(self) -> Iterator[Tokenizing]:
        return iter(self._loaded.values())

    def named(self, fingerprint: str | None) -> Tokenizing:
        """Return the tokenizer whose fingerprint starts with `fingerprint`; None is the default.

        Raises:
            ProblemError: 404, no loaded tokenizer matches; 422, several match; 503, the default is
                not loaded here.
        """
        if fingerprint is None:
            if self._default not in self._loaded:
                raise ProblemError(
                    503,
                    f"the default tokenizer is now {self._default[:16]}…, which this process "
                    f"has not loaded; start it with --tokenizer for that one too",
                )
            return self._loaded[self._default]
        found = [name for name in self._loaded if fingerprint and name.startswith(fingerprint)]
        if len(found) == 1:
            return self._loaded[found[0]]
        known = ", ".join(name[:16] for name in self._loaded)
        if found:
            raise ProblemError(422, f"tokenizer={fingerprint!r} names several of {known}")
        raise ProblemError(404, f"no tokenizer {fingerprint!r} is loaded here; loaded are {known}")

    def is_default(self, one: Tokenizing) -> bool:
        """Return whether a tokenizer is the default."""
        return one.catalogue.pipeline.fingerprint == self._default

    def refresh(self) -> None:
        """Read from the database which tokenizer is the default and which items have changed.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        default = default_tokenizer(self._database)
        if default is not None and default.fingerprint != self._default:
            self._default = default.fingerprint
            logger.info("the default tokenizer is %s", self._default)
        self._follow()

    def remove(self, item_id: str) -> bool:
        """Remove an item from all tokenizers and return whether it was there.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer; nothing is removed.
        """
        removed = next(iter(self)).catalogue.registry.remove(item_id)
        try:
            self._follow()
        except SQLAlchemyError as error:  # the next refresh, twice a second, will follow it
            logger.warning("the index does not follow a removal yet: %s", error)
        return removed

    def stop(self) -> None:
        """Note that the process ends: from now on it is not ready and takes no more bulk lines."""
        self.stopping = True
        for one in self:
            one.stopping = True

    def close(self) -> None:
        """Finish the running batches and end the threads."""
        for one in self:
            one.close()

    def _follow(self) -> None:
        """Let every catalogue follow the registry.

        If one fails, the log says so once, and the others still follow.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        for fingerprint, one in self._loaded.items():
            try:
                one.catalogue.follow()
            except SQLAlchemyError:
                raise
            except Exception:
                if fingerprint not in self._failing:
                    logger.exception(
                        "tokenizer %s: the registry's changes cannot be read", fingerprint
                    )
                self._failing.add(fingerprint)
            else:
                self._failing.discard(fingerprint)

    @contextmanager
    def refreshed(self) -> Iterator[None]:
        """Refresh twice a second in a thread while the block runs; save the indexes at its end.

        Another thread measures how many of the nearest items are found.
        """
        stop = threading.Event()
        threads = [
            threading.Thread(target=work, args=(stop,), daemon=True)
            for work in (self._refresh_until, self._measure_until)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for one in self:
                one.catalogue.save()

    def _measure_until(self, stop: threading.Event) -> None:
        while not stop.wait(MEASURE_SECONDS):
            for one in self:
                try:
                    if one.catalogue.recall.due():
                        one.catalogue.recall.measure(stop)
                except SQLAlchemyError:  # the thread that refreshes logs it
                    pass
                except Exception:
                    logger.exception("the recall of nearest items is not measured")

    def _refresh_until(self, stop: threading.Event) -> None:
        answers = True
        while True:
            try:
                self.refresh()
                for one in self:
                    one.catalogue.save_sometimes()
                answers = True
            except SQLAlchemyError as error:
                if answers:
                    logger.error("database: %s", getattr(error, "orig", None) or error)  # noqa: TRY400
                answers = False
            except Exception:
                logger.exception("the registry's changes are read again in %s s", REFRESH_SECONDS)
            if stop.wait(REFRESH_SECONDS):
                return
