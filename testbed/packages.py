"""Programs of Debian's that a test needs, installed when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from testbed.cache import cache_folder, locked
from testbed.errors import TestbedError

_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}
_ELSEWHERE = "/usr/sbin:/sbin:/usr/local/sbin"


def program(name: str, package: str) -> Path:
    """The path of the program `name`, which the Debian package `package` has.

    Installs it where it is missing, once, however many processes ask. Raises `TestbedError` with
    what to do where that cannot be.
    """
    if found := _found(name):
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise TestbedError(f"{name} is missing: install it (in Debian: apt-get install {package}).")
    with locked(cache_folder() / ".packages-lock"):
        if found := _found(name):  # another process has just done it
            return found
        said = _install(package)
    if found := _found(name):
        return found
    raise TestbedError(f"{name} is missing and could not be installed:\n{said[-2000:]}")


def _found(name: str) -> Path | None:
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_ELSEWHERE}")
    return Path(path) if path else None


def _install(package: str) -> str:
    """What apt said. Its lists are read anew where they do not know the package, or are old."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    said = ""
    for command in (install, ["apt-get", "update"], install):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **_ENVIRONMENT},
        )
        said += done.stdout + done.stderr
        if command is install and done.returncode == 0:
            break
    return said
