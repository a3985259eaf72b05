"""Server processes end when they must, with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testbed.cache import NOBODY, server_user
from testbed.process import ServerProcess
from tests.conditions import until

# A server with a child in its group and one in a session of its own, as PostgreSQL has them.
_SERVER = """
trap '{on_term}' TERM
sleep 1000 & echo $! > child
setsid sleep 1000 & echo $! > stranger
touch ready
while :; do wait; done
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as name:
        if server_user() is not None:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def _start(folder: Path, on_term: str = "exit 3") -> ServerProcess:
    process = ServerProcess(
        ["/bin/sh", "-c", _SERVER.format(on_term=on_term)],
        folder=folder,
        output=folder / "log",
        environment={"PATH": os.defpath},
        working_folder=folder,
    )
    until((folder / "ready").exists, "the process is ready")
    return process


def _gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def _children(folder: Path) -> list[int]:
    return [int((folder / name).read_text()) for name in ("child", "stranger")]


@pytest.mark.parametrize("paused", [False, True])
def test_stop_lets_the_server_end_by_itself(folder: Path, paused: bool) -> None:
    process = _start(folder)
    if paused:
        process.signal(signal.SIGSTOP)
    process.stop(signal.SIGTERM, patience=10)
    assert process.exit_status == 3
    assert _gone(_children(folder)[0])


def test_stop_kills_a_server_that_hangs(folder: Path) -> None:
    process = _start(folder, on_term=":")
    process.stop(signal.SIGTERM, patience=0.05)
    assert process.exit_status == -signal.SIGKILL
    assert all(_gone(child) for child in _children(folder))


def test_kill_ends_a_paused_server_and_all_its_children(folder: Path) -> None:
    process = _start(folder)
    process.signal(signal.SIGSTOP)
    process.kill()
    assert process.exit_status == -signal.SIGKILL
    assert all(_gone(child) for child in _children(folder))


@pytest.mark.parametrize("paused", [False, True])
def test_a_killed_parent_takes_server_and_folder_with_it(folder: Path, paused: bool) -> None:
    server_folder = folder / "server"
    server_folder.mkdir()
    if server_user() is not None:
        os.chown(server_folder, NOBODY, NOBODY)
    script = (
        "import sys, signal, pathlib; from tests.testbed import test_process\n"
        "process = test_process._start(pathlib.Path(sys.argv[1]))\n"
        f"process.signal(signal.{'SIGSTOP' if paused else 'SIGCONT'})\n"
        "print(process.group, flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", script, str(server_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        child = _children(server_folder)[0]
        parent.kill()
    until(lambda: _gone(group) and _gone(child), "both are gone")
    until(lambda: not server_folder.exists(), "its folder is gone")
