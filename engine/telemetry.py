"""Logs: every line an event with a stable word, ids and time; ours and libraries' in one shape.

`configure` is called once by a process. Lines of the standard library's logging (Bolt, aiohttp,
psycopg, APScheduler) go through the same processors, so they have the same shape and the same
redaction, which comes last: it sees tracebacks and foreign objects as the text they have become.

Bind ids by `structlog.contextvars.bound_contextvars(request_id=...)`, never by a bare bind, which
leaks to the caller.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["json", "console"]
Redact = Callable[[str], str]
"""Takes a finished line and returns it with every secret replaced."""

LEVELS = {
    "aiohttp.access": "WARNING",
    "apscheduler": "WARNING",
    "asyncio": "WARNING",
    "httpcore": "WARNING",
    "httpx": "WARNING",
    "psycopg.pool": "ERROR",
    "slack_bolt": "WARNING",
    "slack_sdk": "WARNING",
}
"""Below these levels libraries tell of payloads or of routine; the pool repeats itself for as long as
the database is away, which our own loops say better."""


def configure(
    format: Format | None = None,  # noqa: A002
    level: str = "INFO",
    *,
    redact: Redact | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send all logs to `stream` (standard error) in one format, redacted by `redact`.

    Without a format it is `console` on a terminal, else `json`.
    """
    stream = stream or sys.stderr
    format = format or ("console" if stream.isatty() else "json")  # noqa: A001
    shared = _shared()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(format, colors=stream.isatty()),
                _Redaction(redact or (lambda line: line)),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, least in LEVELS.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering(format: Format, *, colors: bool) -> list[Processor]:  # noqa: A002
    if format == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.processors.JSONRenderer(),
    ]


class _Redaction:
    """The last processor: it gets the finished line."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def __call__(
        self,
        logger: WrappedLogger,  # noqa: ARG002
        method: str,  # noqa: ARG002
        event_dict: EventDict,
    ) -> str:
        return self._redact(str(event_dict))
