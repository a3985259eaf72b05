"""The console script as a user runs it: with its output caught, or on a terminal of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conditions import eventually
from tests.e2e.process import die_with_parent

SCRIPT = str(Path(sys.executable).with_name("reindex-queue"))
SECONDS = 60.0
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|\][^\x07]*\x07)")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def run(
    *arguments: str,
    url: str | None = None,
    stdin: bytes = b"",
    more: Mapping[str, str] | None = None,
) -> Result:
    """Runs a command to its end, piped. `url`: of the service, by the environment, as is `more`."""
    done = await asyncio.to_thread(
        subprocess.run,
        [SCRIPT, *arguments],
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
        env={**environment(url), **(more or {})},
        check=False,
        preexec_fn=die_with_parent,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def environment(url: str | None) -> dict[str, str]:
    given = {"REINDEX_QUEUE_URL": url} if url else {}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **given}


def _as_from_a_shell() -> None:
    """Ctrl-C works, also where the tests run in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()


class Terminal:
    """A command on a terminal of so many columns; `text` is all that it has written so far."""

    def __init__(self, *arguments: str, url: str, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.set_blocking(self._master, False)
        self._child = subprocess.Popen(
            [SCRIPT, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environment(url), "TERM": "xterm-256color"},
            preexec_fn=_as_from_a_shell,
        )
        os.close(slave)
        self._raw = b""

    @property
    def raw(self) -> str:
        """With the characters that steer the terminal."""
        try:
            while piece := os.read(self._master, 65_536):
                self._raw += piece
        except (BlockingIOError, OSError):  # nothing now, or the command has ended
            pass
        return self._raw.decode(errors="replace")

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.raw).replace("\r", "\n")

    async def shows(self, what: str) -> None:
        async def shown() -> bool:
            return what in self.text

        await eventually(shown, lambda: f"{what} is shown\n{self.text}", SECONDS)

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._child.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Reads on meanwhile: on a full terminal the command could not end."""

        async def over() -> bool:
            _ = self.raw
            return self._child.poll() is not None

        await eventually(over, lambda: f"it ends\n{self.text}", SECONDS)
        _ = self.raw
        os.close(self._master)
        return self._child.wait()
