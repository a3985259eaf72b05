"""A real Elasticsearch server on loopback, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import time
import weakref
from collections.abc import Mapping
from pathlib import Path

import httpx

from testbed.configuration import (
    PASSWORD,
    USERNAME,
    ServerFolders,
    Settings,
    alone,
    create_folders,
    founding,
    joining,
    write_configuration,
)
from testbed.distributions import distribution, fetch
from testbed.errors import StartError, TestbedError
from testbed.java import find_java
from testbed.launch import FULL_SPEED, QUICK_START, Launch
from testbed.process import ServerProcess

START_TIMEOUT = 240.0
"""Seconds in which a server must become ready; 5 to 15 are usual on two idle cores."""

STOP_TIMEOUT = 20.0
"""Seconds that a server gets to end by itself before it is killed."""

_START_ATTEMPTS = 3


class ElasticsearchServer:
    """One server with one node, a heap of 512 MB and a throw-away folder under /var/tmp.

    `settings` are lines for elasticsearch.yml and win over the testbed's own. `data` is a data
    folder to open or to create; it is never removed (one made inside the throw-away folder is).
    `security` switches authentication on (8.x and 9.x): see `auth`. `full_speed` is for measuring:
    the start takes about twice as long, heavy work is done faster. With `joinable` it is the first
    node of a cluster that another server, of another series too, is made to join by `joins`. The
    ports stay the same from the first start to the last. A server that is still running when this
    process ends, even by SIGKILL, is killed with it.
    """

    def __init__(
        self,
        series: str = "8.19",
        *,
        settings: Mapping[str, str] | None = None,
        data: Path | None = None,
        security: bool = False,
        port: int | None = None,
        full_speed: bool = False,
        joinable: bool = False,
        joins: ElasticsearchServer | None = None,
    ) -> None:
        self.distribution = distribution(series)
        if security and self.distribution.major == 7:
            raise TestbedError("The trimmed Elasticsearch 7.17 has no security to switch on.")
        self._extra = dict(settings or {})
        self._data = data
        self._security = security
        self._fixed_port = port
        self._joinable = joinable
        self._joins = joins
        self._jvm_options = FULL_SPEED if full_speed else QUICK_START
        self._ports: tuple[int, int] | None = None
        self._folders: ServerFolders | None = None
        self._process: ServerProcess | None = None
        self._remove_folder = weakref.finalize(self, _nothing)

    @property
    def url(self) -> str:
        """The address of the server, `http://127.0.0.1:<port>`, known from the first start on."""
        return f"http://127.0.0.1:{self._known_ports()[0]}"

    @property
    def node(self) -> str:
        """The node's name, known from the first start on."""
        return f"testbed-{self._known_ports()[1]}"

    @property
    def transport_address(self) -> str:
        """Where the other nodes of its cluster reach it, known from the first start on."""
        return f"127.0.0.1:{self._known_ports()[1]}"

    @property
    def auth(self) -> tuple[str, str] | None:
        """Name and password of a superuser, or None without security."""
        return (USERNAME, PASSWORD) if self._security else None

    @property
    def repository(self) -> Path:
        """A folder of the server in which snapshot repositories of type `fs` may be registered."""
        return self._opened().repository

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._opened().data

    @property
    def log(self) -> str:
        """What the server has written to its console since its latest start."""
        return self._opened().console.read_text(errors="replace")

    @property
    def audit(self) -> str:
        """The audit log, an object of JSON a line; empty unless `settings` switch it on."""
        file = self._opened().logs / "testbed_audit.json"
        return file.read_text() if file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the server's process is there, also while it starts or is paused."""
        return self._process is not None and self._process.exit_status is None

    def start(self, status: str = "yellow") -> None:
        """Start the server and wait until it answers; nothing if it is running.

        `status`: the health that it has to reach; with shards that are lost it stays `red`.
        Downloads it first if need be. Raises StartError with the tail of the log, FetchError or
        JavaMissingError.
        """
        if self.running:
            return
        self.kill()  # what is left of a server that ended by itself
        home = fetch(self.distribution.series)
        java = find_java(self.distribution.java)
        folders = self._folders or self._open()
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._ports = self._ports or _free_ports(self._fixed_port)
            self._launch(home, java, folders)
            try:
                self._wait_until_ready(status)
            except _PortTakenError as error:
                if self._fixed_port or attempt == _START_ATTEMPTS:
                    raise StartError(str(error)) from error
                self._ports = None
            else:
                return

    def stop(self, *, keep: bool = False) -> None:
        """Ask the server to end, wait for it, kill it if it hangs; nothing if it is not running.

        Its folder is removed, and with it all data unless `data` was given; `keep=True` keeps all,
        so that `start` goes on with it.
        """
        if self._process is not None:
            self._process.stop(signal.SIGTERM, STOP_TIMEOUT)
            self._process = None
        if not keep:
            self._remove_folder()
            self._folders = None

    def kill(self) -> None:
        """End the server as a power cut would, at once; its folder stays for another `start`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Stop the server properly and start it again, on the same ports and data."""
        self.stop(keep=True)
        self.start()

    def pause(self) -> None:
        """Freeze the server: connections are accepted by the kernel, nothing is answered."""
        self._started().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self._started().signal(signal.SIGCONT)

    def __enter__(self) -> ElasticsearchServer:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _known_ports(self) -> tuple[int, int]:
        if self._ports is None:
            raise TestbedError("The server has no address before its first start.")
        return self._ports

    def _discovery(self, transport_port: int) -> dict[str, str]:
        if self._joins is not None:
            return joining(self._joins.transport_address)
        return founding(transport_port) if self._joinable else alone()

    def _opened(self) -> ServerFolders:
        if self._folders is None:
            raise TestbedError("The server has no folder: it was not started, or it was stopped.")
        return self._folders

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise TestbedError("The server is not running.")
        return self._process

    def _open(self) -> ServerFolders:
        self._folders = create_folders(self._data)
        self._remove_folder = weakref.finalize(
            self, shutil.rmtree, self._folders.root, ignore_errors=True
        )
        return self._folders

    def _launch(self, home: Path, java: Path, folders: ServerFolders) -> None:
        assert self._ports is not None
        major = self.distribution.major
        options = self._jvm_options
        discovery = self._discovery(self._ports[1])
        settings = Settings(major, *self._ports, self._security, discovery, self._extra, options)
        write_configuration(folders, settings, home)
        launch = Launch(major, home, java, folders.config, folders.temporary, options)
        folders.console.write_bytes(b"")
        self._process = ServerProcess(
            launch.command(),
            folder=folders.root,
            output=folders.console,
            environment=launch.environment(),
            working_folder=home,
        )

    def _wait_until_ready(self, status: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with httpx.Client(base_url=self.url, auth=self.auth, trust_env=False) as client:
            while not _is_ready(client, status):
                if not self.running:
                    self.kill()
                    tail = _without_stacks(self.log)
                    if "Address already in use" in self.log:
                        raise _PortTakenError(f"{self.url} or its transport port is taken.\n{tail}")
                    raise StartError(f"Elasticsearch ended while starting:\n{tail}")
                if time.monotonic() > deadline:
                    self.kill()
                    tail = _without_stacks(self.log)
                    raise StartError(f"Not ready after {START_TIMEOUT:.0f} seconds:\n{tail}")
                time.sleep(0.05)


class _PortTakenError(Exception):
    pass


def _nothing() -> None:
    pass


def _without_stacks(log: str) -> str:
    """The last 30 lines that are not frames of a Java stack trace."""
    lines = [line for line in log.splitlines() if not line.startswith("\t")]
    return "\n".join(lines[-30:])


def _is_ready(client: httpx.Client, status: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        health = client.get(f"/_cluster/health?wait_for_status={status}&timeout=1s", timeout=5)
        return health.status_code == 200
    return False


def _free_ports(http_port: int | None) -> tuple[int, int]:
    transport_port = _free_port()
    while http_port is None or http_port == transport_port:
        http_port = _free_port()
    return http_port, transport_port


def _free_port() -> int:
    """A free port below the range from which the kernel serves outgoing connections.

    A port of that range could go to a client's connection while the server is down, even to one
    that connects to itself on that very port.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
