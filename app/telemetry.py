"""Logging: one line an event, with a stable name for programs and values beside it."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any

import structlog
from structlog.typing import EventDict

from app.domain.formatting import printable
from app.redaction import redactor


def configure(*, json: bool, level: str) -> None:
    """Once, at start: structlog's own lines and the standard library's come out alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    harmless = [] if json else [_printable]
    handler = _Lines(sys.stderr)
    handler.setFormatter(
        _WithoutSecrets(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *harmless,
                structlog.processors.format_exc_info,
                _without_secrets,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "uvicorn.access", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("elastic_transport").setLevel(logging.CRITICAL)  # its errors become ours


class _WithoutSecrets(structlog.stdlib.ProcessorFormatter):
    """Looks once more at the line as it is written, for what a renderer has made of a value."""

    def format(self, record: logging.LogRecord) -> str:
        return redactor.line(super().format(record))


class _Lines(logging.StreamHandler[Any]):
    """A line that cannot be written is told by the kind of its error: the standard library would
    print its values as they are."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[0]
        kind = error.__name__ if error else "error"
        with suppress(Exception):
            self.stream.write(f"A line of the log from {record.name} is lost: {kind}\n")


def _without_secrets(_logger: Any, _method: str, values: EventDict) -> EventDict:
    return redactor.values(values)


def _printable(_logger: Any, _method: str, values: EventDict) -> EventDict:
    """A name of an index may have line breaks and what steers a terminal."""
    return {
        key: printable(value) if isinstance(value, str) else value for key, value in values.items()
    }


def mark_as(part: str) -> None:
    """Names the part of the service that runs in this task, and in all that it starts."""
    structlog.contextvars.bind_contextvars(part=part)


def running_part() -> str | None:
    """The part in which the caller runs, as `mark_as` has named it."""
    return structlog.contextvars.get_contextvars().get("part")


def logger(name: str) -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger(name)
