"""Programs of Debian's: found, and a clear word where they cannot be had."""

from __future__ import annotations

import os
import subprocess

import pytest

from testbed.errors import TestbedError
from testbed.packages import program


def test_packages_a_program_that_is_there_is_found() -> None:
    assert program("sh", "dash").name == "sh"


def test_packages_a_missing_program_is_installed() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can install")
    faketime = program("faketime", "faketime")
    assert subprocess.run([str(faketime), "--version"], check=False).returncode == 0


def test_packages_one_that_nobody_has_is_said_by_name() -> None:
    with pytest.raises(TestbedError, match="no-such-program-of-ours"):
        program("no-such-program-of-ours", "no-such-package-of-ours")
