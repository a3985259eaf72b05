"""The service as a process of its own, started by its console script."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import httpx

from tests.conditions import eventually
from tests.secrets_used import used
from tests.service import Api

START_SECONDS = 60.0
EXIT_SECONDS = 40.0
_PORTS = range(20_000, 32_000)  # below the range from which the kernel takes client ports
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Child(Protocol):
    """A started process; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int: ...


Launch = Callable[[Mapping[str, str], Path, Path], Child]
"""Starts the service: its whole environment, the file for its output, its working folder."""


class ServiceProcess:
    """`async with ServiceProcess({"ELASTICSEARCH_HOSTS": …}) as service:`; killed at the end.

    `environment` is all that the service is given beside a port, which stays the same over
    restarts; without `DATABASE_URL` it has an SQLite file in its own temporary folder. `api`
    speaks HTTP to it. The process dies with this one.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        launch: Launch | None = None,
        port: int | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="rq-service-")
        self.folder = Path(self._temporary.name)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"SERVER_PORT": str(self.port), **environment}
        self.launch = launch or installed
        self.client = httpx.AsyncClient(
            base_url=self.url,
            timeout=30,
            trust_env=False,
            verify=False,  # it is plain HTTP, and the authorities take a while to read
            limits=httpx.Limits(max_keepalive_connections=0),  # none of a process that is gone
        )
        self.api = Api(self.client)
        self._child: Child | None = None

    @property
    def log(self) -> str:
        """What it has written so far, over all starts."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal; None while it runs."""
        return self._started().poll()

    def spawn(self, **more: str) -> None:
        """Starts it without waiting, `more` added to its environment for this once."""
        base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {**base, **self.environment, **more}
        used.of_settings(environment)
        self._child = self.launch(environment, self.folder / "log", self.folder)

    async def start(self, **more: str) -> None:
        """Starts it and waits until `/readyz` answers, whatever it says."""
        self.spawn(**more)

        async def ready() -> bool:
            assert self.exit_code is None, f"ended while starting:\n{self.log[-4000:]}"
            return await self._answers()

        await eventually(ready, lambda: f"it answers\n{self.log[-4000:]}", START_SECONDS)

    async def ended(self, seconds: float = EXIT_SECONDS) -> int:
        """Waits until it has ended by itself; the exit code."""

        async def over() -> bool:
            return self.exit_code is not None

        await eventually(over, lambda: f"it ends\n{self.log[-4000:]}", seconds)
        return self._started().wait()

    async def terminate(self) -> int:
        """SIGTERM, as an orchestrator sends it; the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return await self.ended()

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        if self._child is not None:
            if self._child.poll() is None:
                os.kill(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def suspend(self) -> None:
        """Freezes it in whatever it is doing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def __aenter__(self) -> ServiceProcess:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kills it, searches what it has left for secrets, and removes its folder."""
        self.kill()
        await self.client.aclose()
        try:
            used.search_folder(self.folder)
        finally:
            self._temporary.cleanup()

    def _started(self) -> Child:
        assert self._child is not None, "it was not started"
        return self._child

    async def _answers(self) -> bool:
        try:
            await self.client.get("/readyz")
        except httpx.TransportError:
            return False
        return True


def installed(environment: Mapping[str, str], log: Path, folder: Path) -> Child:
    """The console script, as a user starts it."""
    return run(
        [str(Path(sys.executable).with_name("reindex-queue")), "serve"], environment, log, folder
    )


def run(command: list[str], environment: Mapping[str, str], log: Path, folder: Path) -> Child:
    """Starts `command`, which dies with this process."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )


def die_with_parent() -> None:
    """To be called in a child: it is killed when the thread that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
