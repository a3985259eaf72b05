"""A real nginx on loopback before a server, with the directives that a test wants."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from testbed.cache import server_user
from testbed.errors import StartError
from testbed.packages import program
from testbed.process import ServerProcess

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {target};
            {directives}
        }}
    }}
}}
"""


class Nginx:
    """`with Nginx(url, 'proxy_set_header X-Opaque-Id "";') as nginx:`; ends with this process.

    `directives` stand in its only `location`, which passes everything on to `target`.
    """

    def __init__(self, target: str, directives: str = "") -> None:
        self._target = target
        self._directives = directives
        self._process: ServerProcess | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="nginx-", dir="/var/tmp"))
        self._port = _free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Nginx:
        binary = program("nginx", "nginx-light")
        if (user := server_user()) is not None:
            os.chown(self._folder, user, user)
        configuration = self._folder / "conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self._folder,
                port=self._port,
                target=self._target,
                directives=self._directives,
            )
        )
        self._process = ServerProcess(
            [str(binary), "-e", f"{self._folder}/errors", "-c", str(configuration)],
            folder=self._folder,
            output=self._folder / "console",
            environment={},
            working_folder=self._folder,
        )
        self._wait_until_ready(self._process)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stop(signal.SIGTERM, STOP_TIMEOUT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_ready(self, process: ServerProcess) -> None:
        """Raises `StartError` with what nginx said."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and process.exit_status is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.02)
        said = "".join(
            file.read_text(errors="replace")
            for name in ("console", "errors")
            if (file := self._folder / name).exists()
        )
        process.kill()
        raise StartError(f"nginx did not start:\n{said[-2000:]}")


def _free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]
