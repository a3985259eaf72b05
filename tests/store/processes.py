"""Starting `another_service` and ending it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def another_service(url: str, lease_seconds: float = 60.0) -> AsyncGenerator[Process]:
    """A second process with the same database; killed at the end if it is still there."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.another_service", url, str(lease_seconds)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process) -> str:
    """`taken` or `refused`, or what went wrong in it."""
    assert process.stdout
    assert process.stderr
    word = (await process.stdout.readline()).decode().strip()
    return word or (await process.stderr.read()).decode()[-2000:]
