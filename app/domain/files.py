"""Whether a file is still the one that was read."""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, int, int]


def stamp(file: Path | None) -> Stamp | None:
    """What changes with a file's content, also where it is replaced behind a link; None where there
    is no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
