"""Finding a Java that a server runs on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from testbed.cache import cache_folder, closed_parent, server_user
from testbed.errors import JavaMissingError

JVM_FOLDER = Path("/usr/lib/jvm")


def find_java(majors: Sequence[int]) -> Path:
    """The home of an installed Java, of the first of `majors` that is there.

    Looks in JAVA_HOME, PATH, /usr/lib/jvm and among the Javas that `fetch` put into the cache.
    Raises JavaMissingError.
    """
    found = {home: major for home in _homes() if (major := java_major(home)) is not None}
    for wanted in majors:
        for home, major in found.items():
            if major == wanted and _usable(home):
                return home
    raise JavaMissingError(_complaint(majors, found.values()))


def java_major(home: Path) -> int | None:
    """The major version of the Java in `home` by its `release` file; None if it has none."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(match[1]) if match else None


def jre_folder() -> Path:
    """Where `fetch` unpacks the Java runtimes that come with the newer servers."""
    return cache_folder() / "jre"


def _homes() -> Iterator[Path]:
    if "JAVA_HOME" in os.environ:
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent
    for folder in (JVM_FOLDER, jre_folder()):
        if folder.is_dir():
            yield from sorted(home for home in folder.iterdir() if (home / "bin/java").is_file())


def _usable(home: Path) -> bool:
    return server_user() is None or closed_parent(home) is None


def _complaint(majors: Sequence[int], found: Collection[int]) -> str:
    wanted = " or ".join(str(major) for major in majors)
    seen = ", ".join(str(major) for major in sorted(set(found))) or "none"
    return (
        f"Java {wanted} is needed; found: {seen}. Install one (on Debian and Ubuntu "
        f"`apt-get install openjdk-{majors[0]}-jre-headless`) or set JAVA_HOME to the home of one "
        "that every user can read."
    )
