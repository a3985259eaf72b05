"""A server process in a process group of its own, which never outlives the process that started it.

Beside every server runs a watcher, a `sh` that reads from a pipe whose other end only this process
holds. When this process ends, by whatever signal, the kernel closes the pipe; the watcher then
kills the whole group and removes the server's folder. PR_SET_PDEATHSIG would not do: it is not
inherited by children (Elasticsearch 8 and 9 run the server as a child of a launcher), and it fires
when the *thread* that started the server ends, for example one of `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from testbed.cache import server_user

# $$ is the outer sh, also in the inner one: it leads the group, and exec turns it into the server.
_WATCHED = """
exec 3<&0
setsid sh -c 'read -r _ || { kill -9 "-$1"; rm -rf -- "$2"; }' watcher $$ "$1" \
    <&3 3<&- >/dev/null 2>&1 &
shift
exec "$@" </dev/null 3<&-
"""


class ServerProcess:
    """One running server: its leader, its children and the watcher.

    `folder` is what the watcher removes when this process dies; `output` gets what the server
    writes to stdout and stderr.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        output: Path,
        environment: Mapping[str, str],
        working_folder: Path,
    ) -> None:
        user = server_user()
        with output.open("ab") as stream:
            self._leader = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "sh", str(folder), *command],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=working_folder,
                env=dict(environment),
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        self.group = self._leader.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status of the leader, negative for a signal; None while it runs."""
        return self._leader.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, number)

    def stop(self, number: signal.Signals, patience: float) -> None:
        """Ask the leader to end with a signal; after `patience` seconds kill the whole group."""
        if self.exit_status is None:
            self._leader.send_signal(number)
            self.signal(signal.SIGCONT)  # a paused server cannot end by itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._leader.wait(patience)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the leader, its group and all descendants; returns when none is left."""
        self.signal(signal.SIGSTOP)  # so that nothing is forked between looking and killing
        family = _family(self.group)
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._leader.wait()
        while not family.isdisjoint(entry.process for entry in _living()):
            time.sleep(0.005)
        self._dismiss_watcher()

    def _dismiss_watcher(self) -> None:
        if self._leader.stdin is not None and not self._leader.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._leader.stdin.write(b"\n")
                self._leader.stdin.flush()
            with contextlib.suppress(BrokenPipeError):
                self._leader.stdin.close()


class _Entry(NamedTuple):
    process: int
    parent: int
    group: int


def _living() -> Iterator[_Entry]:
    """All processes of the machine but zombies, which may wait for ever to be collected."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX":
                yield _Entry(int(stat.parent.name), int(parent), int(group))


def _family(leader: int) -> set[int]:
    """The process group of `leader` and all descendants that left it.

    PostgreSQL puts each of its children into a session of its own.
    """
    entries = list(_living())
    family = {entry.process for entry in entries if entry.group == leader}
    while grown := {e.process for e in entries if e.parent in family} - family:
        family |= grown
    return family
