"""The folder in which downloaded servers outlive a checkout, and who may read it."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError

CACHE_VARIABLE = "ELASTICSEARCH_TEST_CACHE"

NOBODY = 65534
"""The user and group id of `nobody` on Linux, as which servers run when the tests run as root."""


def server_user() -> int | None:
    """The user id that servers must be started as; None means the user of this process.

    Elasticsearch and PostgreSQL both refuse to run as root.
    """
    return NOBODY if os.geteuid() == 0 else None


def cache_folder() -> Path:
    """The cache, created if need be and open to the user that servers run as.

    Raises TestbedError if it cannot be created or that user cannot get at it.
    """
    default = (
        Path("/var/cache/reindex-queue")
        if os.geteuid() == 0
        else Path.home() / ".cache" / "reindex-queue"
    )
    folder = Path(os.environ.get(CACHE_VARIABLE) or default).absolute()
    make_folder(folder)
    require_reachable(folder, f"set {CACHE_VARIABLE} to a folder outside of it")
    return folder


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, readable by everybody whatever the umask is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    except OSError as error:
        raise TestbedError(
            f"The folder {folder} cannot be created ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a folder that can be written."
        ) from error


def closed_parent(path: Path) -> Path | None:
    """The first folder on the way to `path`, itself included, that other users cannot enter."""
    resolved = path.resolve()
    way = [*reversed(resolved.parents), resolved]
    return next((part for part in way if part.is_dir() and not part.stat().st_mode & 0o001), None)


def require_reachable(path: Path, remedy: str) -> None:
    """Raise TestbedError if servers run as another user and that user cannot enter `path`."""
    if server_user() is None:
        return
    closed = closed_parent(path)
    if closed is not None:
        raise TestbedError(
            f"{path} is needed by a server that runs as the user nobody (servers refuse to run as "
            f"root), but {closed} is closed to other users: {remedy}, or run `chmod o+x {closed}`."
        )


def open_to_everybody(folder: Path) -> None:
    """Let every user read all below `folder`; what is executable stays so, for everybody."""
    for parent, folders, files in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock file `path`, waiting (and saying so) while another process has it.

    The lock ends with the process, however that ends.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"Waiting for another process that holds {path}\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
