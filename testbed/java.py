"""Finding a Java that a server runs on.

The Temurin runtimes in the folder `jres/` of the newer SonarQube zips are of no use: they lack the
module jdk.attach, without which Elasticsearch 8.19 and 9.4 do not start (seen with 8.19.8, 9.4.3).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import closed_parent, server_user
from testbed.errors import JavaMissingError

JVM_FOLDER = Path("/usr/lib/jvm")


@dataclass(frozen=True)
class JavaNeeds:
    """What a server asks of a Java: one of `majors`, the preferred one first, and `modules`."""

    majors: tuple[int, ...]
    modules: frozenset[str] = frozenset()

    def __str__(self) -> str:
        majors = " or ".join(str(major) for major in self.majors)
        modules = ", ".join(sorted(self.modules))
        return f"Java {majors}" + (f" with {modules} (every JDK has them)" if modules else "")


@dataclass(frozen=True)
class _Java:
    home: Path
    major: int
    modules: frozenset[str] | None  # None: the `release` file does not list them

    def meets(self, needs: JavaNeeds) -> bool:
        reachable = server_user() is None or closed_parent(self.home) is None
        return reachable and (self.modules is None or needs.modules <= self.modules)


def find_java(needs: JavaNeeds) -> Path:
    """The home of an installed Java that meets the needs, of the most preferred major there is.

    Looks in JAVA_HOME, PATH and /usr/lib/jvm, at what the `release` files say. Raises
    JavaMissingError.
    """
    found = [java for java in map(_read_release, _homes()) if java is not None]
    for major in needs.majors:
        for java in found:
            if java.major == major and java.meets(needs):
                return java.home
    seen = ", ".join(f"{java.major} in {java.home}" for java in found) or "none"
    raise JavaMissingError(
        f"{needs} is needed; found: {seen}. Install one (on Debian and Ubuntu "
        f"`apt-get install openjdk-{needs.majors[0]}-jdk-headless`), or set JAVA_HOME to the home "
        "of one that every user can read."
    )


def _read_release(home: Path) -> _Java | None:
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    version = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    modules = re.search(r'^MODULES="(.*)"', release, re.MULTILINE)
    if version is None:
        return None
    return _Java(home, int(version[1]), frozenset(modules[1].split()) if modules else None)


def _homes() -> Iterator[Path]:
    if "JAVA_HOME" in os.environ:
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent
    if JVM_FOLDER.is_dir():
        yield from sorted(home for home in JVM_FOLDER.iterdir() if (home / "bin/java").is_file())
