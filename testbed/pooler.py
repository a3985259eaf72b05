"""A real pgbouncer before a PostgreSQL server, with Debian's package and pgbouncer's defaults."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from testbed.cache import NOBODY, server_user
from testbed.errors import StartError
from testbed.packages import program
from testbed.process import ServerProcess

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
PORT = 6432
"""Of the socket's name; it listens on no network."""

PoolMode = Literal["session", "transaction"]


class PgBouncer:
    """`with PgBouncer(postgres_url, "transaction") as pooler:`; clients connect to its socket.

    `settings` are lines of its section `[pgbouncer]` beside where it listens and whom it lets in.
    Survives no longer than this process, even if that is killed.
    """

    def __init__(
        self, server_url: str, mode: PoolMode, settings: Mapping[str, str] | None = None
    ) -> None:
        self._server = conninfo_to_dict(server_url)
        self._settings = {"pool_mode": mode, **(settings or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="reindex-queue-pgbouncer-", dir="/var/tmp"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """The address of the database through the pooler."""
        return self.url_as("postgres")

    def url_as(self, user: str) -> str:
        database = self._server["dbname"]
        return f"postgresql://{user}@/{database}?host={self._folder}&port={PORT}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Raises StartError with the tail of its log, TestbedError where it cannot be installed."""
        binary = program("pgbouncer", "pgbouncer")
        self._write_configuration()
        self._process = ServerProcess(
            [str(binary), str(self._folder / "pgbouncer.ini")],
            folder=self._folder,
            output=self._folder / "log",
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            working_folder=self._folder,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not (self._folder / f".s.PGSQL.{PORT}").exists():
            if self._process.exit_status is not None or time.monotonic() > deadline:
                self.stop()
                raise StartError(f"pgbouncer did not start:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL; its clients lose their connections. It may be started again."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        (self._folder / f".s.PGSQL.{PORT}").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(signal.SIGTERM, STOP_TIMEOUT)
            self._process = None

    def __enter__(self) -> PgBouncer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._remove_folder()

    def _write_configuration(self) -> None:
        users = self._folder / "users"
        users.write_text('"postgres" ""\n"reindex" ""\n')
        settings = {
            "unix_socket_dir": str(self._folder),
            "listen_port": str(PORT),
            "auth_type": "trust",
            "auth_file": str(users),
            **self._settings,
        }
        server = f"host={self._server['host']} port={self._server.get('port', 5432)}"
        lines = ["[databases]", f"* = {server}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        user = server_user()
        for path in (self._folder, *self._folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
            if user is not None:
                os.chown(path, NOBODY, NOBODY)
