"""Logging: one line an event, with a stable name for programs and values beside it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

from app.domain.formatting import printable


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *harmless,
                structlog.processors.format_exc_info,
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
