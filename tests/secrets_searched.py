"""A plugin of pytest: what every test leaves behind is searched for secrets, and at the end it is
told how much that was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, TextIO, cast

import pytest

from tests.secrets_used import used


class KeptLog:
    """A stream that also keeps what is written, for the search after the test."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._written: list[str] = []

    def write(self, text: str) -> int:
        self._written.append(text)
        return len(text) if self._stream.closed else self._stream.write(text)

    def flush(self) -> None:
        if not self._stream.closed:
            self._stream.flush()

    def take(self) -> bytes:
        written, self._written = self._written, []
        return "".join(written).encode(errors="backslashreplace")


def kept_log() -> KeptLog:
    """The log of services in this process, from now on kept."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            lines = cast("logging.StreamHandler[Any]", handler)
            if not isinstance(lines.stream, KeptLog):
                # not by `setStream`, which flushes one that a test may have closed
                lines.stream = KeptLog(lines.stream)
            return lines.stream
    raise RuntimeError("the log has no handler")


@pytest.fixture(autouse=True)
def nothing_secret_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Searches what the test has left in its folder, and the log that it has written."""
    log = kept_log()
    log.take()
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    used.search_log(log.take(), "the log of this test")
    if folder is not None:
        used.search_folder(folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands its figures on; else they are judged."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["searched"] = used.databases, used.lines
    elif used.shortfall(session.testscollected) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    databases, lines = getattr(node, "workeroutput", {}).get("searched", (0, 0))
    used.databases += databases
    used.lines += lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    searched = f"{used.databases} databases and {used.lines} lines of logs"
    terminalreporter.write_line(f"searched for secrets: {searched}")
    tests = sum(len(found) for found in terminalreporter.stats.values())
    if said := used.shortfall(tests):
        terminalreporter.write_line(f"FAILED: {said}", red=True)
