"""The README's example is run, line by line, and what it shows is what comes out."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

README = Path(__file__).parents[1] / "README.md"
START = "<!-- example: run by tests/test_readme.py -->"
BLOCK = re.compile(re.escape(START) + r"\n```console\n(.*?)```", re.DOTALL)
CHANGING = re.compile(r"[0-9]{13}|[\w-]{22}:[0-9]+")
"""Milliseconds and task ids, which differ from run to run."""
AT_MOST = 5


def example() -> list[tuple[str, str]]:
    """The commands of the example, each with the output that the README shows."""
    found = BLOCK.search(README.read_text())
    assert found, "the README has no example"
    parts = re.split(r"^\$ ", found.group(1), flags=re.MULTILINE)[1:]
    pairs = (part.partition("\n") for part in parts)
    return [(command, output.strip()) for command, _, output in pairs]


def masked(text: str) -> str:
    return CHANGING.sub("…", text.strip())


async def run(command: str, es: Elastic, service: ServiceProcess) -> str:
    """Runs a line of the example in a shell, with the servers of this test in the place of its."""
    here = command.replace("localhost:9200", es.url.removeprefix("http://"))
    here = here.replace("localhost:5602", service.url.removeprefix("http://"))
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", here],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


async def test_the_example_shows_what_really_comes_out(es: Elastic) -> None:
    lines = example()
    assert 1 <= len(lines) <= AT_MOST
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        for command, shown in lines:

            async def says_so(command: str = command, shown: str = shown) -> bool:
                return masked(await run(command, es, service)) == masked(shown)

            if command.startswith("curl -s localhost"):  # a question: its answer may take a moment
                await eventually(says_so, f"{command} shows {shown}")
            else:
                assert masked(await run(command, es, service)) == masked(shown)
