"""A wall clock of its own for one process, by Debian's libfaketime; the machine's is left alone."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import TestbedError
from testbed.packages import program


class FakedClock:
    """`environment` is for a process that is to be started; `set_by` sets its clock, also while it
    runs. Monotonic and boot clock are the machine's."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faked-clock"
        self.set_by(0)

    @property
    def environment(self) -> dict[str, str]:
        """Raises `TestbedError` where libfaketime cannot be installed."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # without, the file is read at every look at any clock
            "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # the name of older versions
        }

    def set_by(self, seconds: float) -> None:
        """So far from the machine's time, within a second. The file changes at once."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+.0f}\n")
        written.rename(self._file)


def _library() -> Path:
    program("faketime", "faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise TestbedError("libfaketimeMT.so.1 is missing: install libfaketime.")
    return found[0]
