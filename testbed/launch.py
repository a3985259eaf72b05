"""The command lines that start the server, one way per major version.

They are what the `bin/elasticsearch` script of each version runs in the end; the scripts themselves
are not among what the trimmed servers keep.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HEAP = ("-Xms512m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError")

QUICK_START = (*HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-AlwaysPreTouch")
"""A start of 8.19.8 takes 14 seconds of processor time with these, 26 with FULL_SPEED."""

FULL_SPEED = (*HEAP, "-XX:+UseG1GC")
"""As a server is run in earnest: code that is run often is compiled to be fast."""

# What version 7's own launcher would add; versions 8 and 9 add theirs themselves.
_SEVEN_OPTIONS = (
    *("-XX:MaxDirectMemorySize=256m", "-Xss1m", "-Djava.awt.headless=true"),
    *("-Dfile.encoding=UTF-8", "-Djna.nosys=true", "-Dio.netty.noUnsafe=true"),
    *("-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true"),
    *("-Djava.locale.providers=SPI,COMPAT", "--add-opens=java.base/java.io=ALL-UNNAMED"),
    *("-Des.distribution.flavor=default", "-Des.bundled_jdk=false"),
)

_LAUNCHER_JVM = ("-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class Launch:
    """How to start one server: the unpacked server, a Java for it, its folders.

    Versions 8 and 9 read `jvm_options` from a file in `config`, 7 gets them in its command line.
    """

    major: int
    home: Path
    java: Path
    config: Path
    temporary: Path
    jvm_options: tuple[str, ...]

    def command(self) -> list[str]:
        """The command line. It is to run in `home`."""
        paths = [
            f"-Des.path.home={self.home}",
            f"-Des.path.conf={self.config}",
            "-Des.distribution.type=tar",
        ]
        java = str(self.java / "bin/java")
        if self.major == 7:
            return [java, *self._seven_options(), *paths, *self._seven_main()]
        return [java, *_LAUNCHER_JVM, *paths, *self._launcher_main()]

    def environment(self) -> dict[str, str]:
        """The whole environment: nothing of this process but PATH gets in."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.temporary),
            "ES_HOME": str(self.home),
            "ES_PATH_CONF": str(self.config),
            "ES_JAVA_HOME": str(self.java),
            "ES_DISTRIBUTION_TYPE": "tar",
            "JAVA": str(self.java / "bin/java"),
            "JAVA_TYPE": "ES_JAVA_HOME",
            "ES_TMPDIR": str(self.temporary),
            "LIBFFI_TMPDIR": str(self.temporary),
        }

    def _seven_options(self) -> list[str]:
        temporary = [f"-Djna.tmpdir={self.temporary}", f"-Djava.io.tmpdir={self.temporary}"]
        return [*self.jvm_options, *_SEVEN_OPTIONS, *temporary]

    def _seven_main(self) -> list[str]:
        return ["-cp", f"{self.home}/lib/*", "org.elasticsearch.bootstrap.Elasticsearch"]

    def _launcher_main(self) -> list[str]:
        if self.major == 8:
            return [
                *("-Dcli.name=server", "-Dcli.script=./bin/elasticsearch"),
                *("-Dcli.libs=lib/tools/server-cli", "-Des.java.type=ES_JAVA_HOME"),
                *("-cp", f"{self.home}/lib/*:{self.home}/lib/cli-launcher/*"),
                "org.elasticsearch.launcher.CliToolLauncher",
            ]
        return [
            *("-Des.java.type=ES_JAVA_HOME", "-cp", f"{self.home}/lib/tools/server-launcher/*"),
            "org.elasticsearch.server.launcher.ServerLauncher",
        ]
