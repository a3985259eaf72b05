"""What a test of the HTTP API needs: the log of a request, and the time of failed logins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import pytest

from app.api import attempts

Line = dict[str, Any]
Logged = Callable[[], AbstractContextManager[list[Line]]]

WORKER = ("app.jobs.worker", "app.jobs.machine", "app.jobs.bookkeeping")


class Time:
    """The time by which failed logins are slowed down: it passes when a test says so."""

    now = 1_000.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(attempts, "boot_seconds", lambda: time.now)
    return time


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """`with logged() as lines:` gathers what is logged inside, but for the worker's own lines.

    A line is its values, with `event`, `level` and `logger`.
    """

    @contextmanager
    def gather() -> Generator[list[Line]]:
        lines: list[Line] = []
        with caplog.at_level(logging.INFO):
            already = len(caplog.records)
            yield lines
            records = caplog.records[already:]
        lines += [values_of(record) for record in records if record.name not in WORKER]

    return gather


def values_of(record: logging.LogRecord) -> Line:
    message: Any = record.msg
    values = cast(Line, message) if isinstance(message, dict) else {"event": record.getMessage()}
    return {**values, "logger": record.name, "level": record.levelname.lower()}
