"""A small file system of the test's own, to fill and to make read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_file_system(folder: Path) -> Generator[Path]:
    """Two megabytes, mounted at `folder`; the test is skipped where nobody may do that."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"only root can mount a small file system: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill_up(file: Path) -> None:
    """Takes every byte that is left."""
    with file.open("wb", buffering=0) as stream:
        size = 64 * 1024
        while size:
            try:
                stream.write(b"x" * size)
            except OSError:
                size //= 2
