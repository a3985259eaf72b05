"""Downloading one artifact with Maven, with progress on stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from testbed.errors import FetchError

COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

_PROGRESS_EVERY = 2.0  # seconds


def download(artifact: str, folder: Path, megabytes: int) -> Path:
    """Copy the zip of `artifact` (group:name:version) into `folder`, and return its path.

    `megabytes` is what the zip is expected to weigh, for the progress line. Everything that Maven
    stores goes below `folder`, so that removing it leaves nothing behind. Where artifacts come
    from is Maven's own configuration. Raises FetchError.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise FetchError(
            "`mvn` is not on the PATH. Maven downloads the servers that tests run against: install "
            "it (on Debian and Ubuntu `apt-get install maven`) and try again."
        )
    target, log = folder / "zip", folder / "mvn.log"
    command = [
        *(maven, "-B", "-q", f"-Dmaven.repo.local={folder / 'repository'}"),
        *(COPY_GOAL, "-Dtransitive=false", f"-Dartifact={artifact}:zip"),
        f"-DoutputDirectory={target}",
    ]
    status = _run(command, folder, log, artifact, megabytes)
    zips = list(target.glob("*.zip"))
    if status != 0 or len(zips) != 1:
        raise FetchError(_failure(artifact, status, log))
    return zips[0]


def _run(command: list[str], folder: Path, log: Path, artifact: str, megabytes: int) -> int:
    with log.open("wb") as stream:
        maven = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    said = ""
    try:
        while maven.poll() is None:
            said = _report(_progress(folder, artifact, megabytes), said)
            _wait(maven, _PROGRESS_EVERY)
    finally:
        if maven.poll() is None:
            maven.kill()
            maven.wait()
        _end_report()
    return maven.returncode


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)


def _progress(folder: Path, artifact: str, megabytes: int) -> str:
    """What has come. Before the zip Maven fetches some hundred small files of its own, which takes
    a minute where it has none."""
    weights = _weights(folder)
    zipped = max((size for name, size in weights.items() if ".zip" in name), default=0)
    if zipped:  # it grows under a name like `a-1.zip.part`
        return f"Downloading {artifact}: {zipped / 1e6:.0f} of about {megabytes} MB"
    own = f"{len(weights)} files, {sum(weights.values()) / 1e6:.1f} MB"
    return f"Downloading {artifact}: first come the parts of Maven that do it, so far {own}"


def _weights(folder: Path) -> dict[str, int]:
    """Bytes of the files below `folder`, by their paths."""
    found: dict[str, int] = {}
    for parent, _, files in os.walk(folder):
        for path in (Path(parent, name) for name in files):
            with contextlib.suppress(FileNotFoundError):  # it has just got its final name
                found[str(path)] = path.stat().st_size
    return found


def _report(line: str, before: str) -> str:
    """Says it where it is something new; answers `line`."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line:<{len(before)}}")
    elif line != before:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
    return line


def _end_report() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def _failure(artifact: str, status: int, log: Path) -> str:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return (
        f"Maven could not fetch {artifact} (exit status {status}). Look whether this machine may "
        f"reach a repository and whether there is room on the disk. Its last lines:\n{tail}"
    )
