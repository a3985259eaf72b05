"""The folders and configuration files of one throw-away Elasticsearch server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import NOBODY, require_reachable, server_user

USERNAME = "admin"
PASSWORD = "admin-password"

# bcrypt of PASSWORD; Elasticsearch 8 and 9 accept the prefix $2a$ in their `users` file, not $2b$.
_PASSWORD_HASH = "$2a$04$V63OO3/ZWwjYO5bHuwjYZ.W48bBY/O4MWBN8nQcLoGYPpJvqLW7s."


@dataclass(frozen=True)
class ServerFolders:
    """Where one server keeps its things; all but `data` always lie in `root`."""

    root: Path
    data: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def repository(self) -> Path:
        """Where snapshot repositories of the type `fs` may live."""
        return self.root / "repo"

    @property
    def console(self) -> Path:
        """What the server writes to stdout and stderr."""
        return self.logs / "console.log"

    def hand_over(self) -> None:
        """Give everything to the user that the server runs as, if that is another one."""
        if server_user() is None:
            return
        for folder in {self.root, self.data}:
            for parent, folders, files in os.walk(folder):
                for path in (parent, *(os.path.join(parent, name) for name in (*folders, *files))):
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def create_folders(data: Path | None) -> ServerFolders:
    """A new folder under /var/tmp for a server; `data` is kept outside of it if given.

    Raises TestbedError if the server's user cannot get at `data`.
    """
    if data is not None:
        data = data.absolute()
        data.mkdir(parents=True, exist_ok=True)
        require_reachable(data.parent, "choose a data folder under /var/tmp")
    root = Path(tempfile.mkdtemp(prefix="reindex-queue-elasticsearch-", dir="/var/tmp"))
    folders = ServerFolders(root, data or root / "data")
    for folder in (folders.data, folders.logs, folders.temporary, folders.repository):
        folder.mkdir(parents=True, exist_ok=True)
    return folders


@dataclass(frozen=True)
class Settings:
    """What goes into elasticsearch.yml and jvm.options; `extra` wins over the testbed's own.

    `discovery`: how the node finds others; see `alone`, `founding` and `joining`.
    """

    major: int
    http_port: int
    transport_port: int
    security: bool
    discovery: Mapping[str, str]
    extra: Mapping[str, str]
    jvm_options: tuple[str, ...]

    def lines(self, folders: ServerFolders) -> list[str]:
        """The lines of elasticsearch.yml."""
        own = {
            "cluster.name": "testbed",
            "node.name": f"testbed-{self.transport_port}",
            "path.data": str(folders.data),
            "path.logs": str(folders.logs),
            "path.repo": str(folders.repository),
            "network.host": "127.0.0.1",
            "http.port": str(self.http_port),
            "transport.port": str(self.transport_port),
            "node.store.allow_mmap": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **self.discovery,
            **self._security(),
            **self.extra,
        }
        return [f"{name}: {value}" for name, value in own.items()]

    def _security(self) -> dict[str, str]:
        if self.major == 7:  # has no x-pack here: the setting is unknown and stops the start
            return {}
        if not self.security:
            return {"xpack.security.enabled": "false"}
        return {
            "xpack.security.enabled": "true",
            "xpack.security.transport.ssl.enabled": "false",
            "xpack.security.authc.realms.file.file.order": "0",
        }


def alone() -> dict[str, str]:
    """A cluster of this one node."""
    return {"discovery.type": "single-node"}


def founding(transport_port: int) -> dict[str, str]:
    """The first node of a cluster that others may join."""
    return {
        "discovery.seed_hosts": "[]",
        "cluster.initial_master_nodes": f"testbed-{transport_port}",
    }


def joining(address: str) -> dict[str, str]:
    """A further node of the cluster that a node with that transport address is in."""
    return {"discovery.seed_hosts": address}


def write_configuration(folders: ServerFolders, settings: Settings, home: Path) -> None:
    """Write the config folder anew and hand all folders to the server's user."""
    config = folders.config
    config.mkdir(exist_ok=True)
    shutil.copy(home / "config/log4j2.properties", config)
    (config / "jvm.options").write_text("\n".join(settings.jvm_options) + "\n")
    (config / "elasticsearch.yml").write_text("\n".join(settings.lines(folders)) + "\n")
    if settings.security:
        (config / "users").write_text(f"{USERNAME}:{_PASSWORD_HASH}\n")
        (config / "users_roles").write_text(f"superuser:{USERNAME}\n")
    folders.hand_over()
