"""The service's log: each event is a JSON object or a line of text, with the request's ID."""

import io
import logging
import sys
from typing import Any, Literal, TextIO, cast, get_args

import orjson
import structlog
from asgi_correlation_id import correlation_id
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

__all__ = ["LogFormat", "set_up_logs"]

LogFormat = Literal["text", "json"]
# These libraries log each request that they make, or each unusual header.
LIBRARY_LEVELS = {
    "alembic": logging.WARNING,
    "asgi_correlation_id": logging.ERROR,
    "httpx": logging.WARNING,
}


class _StandardError(io.TextIOBase):
    """Writes to the current `sys.stderr`, which callers may replace after start-up."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


STANDARD_ERROR = cast("TextIO", _StandardError())


def set_up_logs(log_format: LogFormat) -> None:
    """Send the log of the service and of its libraries to standard error."""
    shared: list[Processor] = [
        _with_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = log_format == get_args(LogFormat)[1]
    last: list[Processor] = [_text(sys.stderr.isatty())]
    if as_json:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(STANDARD_ERROR),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(STANDARD_ERROR)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name, level in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(level)


def _with_request(_logger: object, _method: str, event: EventDict) -> EventDict:
    request = correlation_id.get()
    if request is not None:
        event["request_id"] = request
    return event


def _text(colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _json(event: dict[str, Any], **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()
