"""The crash run: `python -m tests.e2e.crash_run`, or `make kill`.

One operation of every kind is killed at every request and every commit, before and after it, and a
batch at random moments; each time the service is started again and must end the work by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from testbed.elasticsearch import ElasticsearchServer
from testbed.postgres import PostgresServer
from testbed.wipe import wipe
from tests.e2e.crashes import Crashes, Ending, boundaries
from tests.e2e.kinds import KINDS
from tests.elasticsearch import Elastic

T = TypeVar("T")


@dataclass
class Tally:
    """A line of the table in the end."""

    name: str
    endings: list[Ending] = field(default_factory=list[Ending])
    seconds: float = 0.0

    def add(self, ending: Ending) -> None:
        self.endings.append(ending)
        if not ending.died:
            say(f"  {self.name}: {ending.boundary} was not reached")
        if not ending.good:
            word = "STUCK" if ending.stuck else "LOST"
            say(f"  {self.name}: {ending.boundary}: {word}: {'; '.join(ending.faults)}")

    def line(self) -> str:
        tried = [ending for ending in self.endings if ending.died]
        good = sum(ending.good for ending in tried)
        stuck = sum(ending.stuck for ending in self.endings)
        lost = len(self.endings) - sum(ending.good for ending in self.endings) - stuck
        figures = (len(tried), good, lost, stuck, round(self.seconds))
        return f"{self.name:<24}" + "".join(f"{figure:>11}" for figure in figures)


def main() -> int:
    """The exit code is 1 if anything was lost or stuck."""
    arguments = _parser().parse_args()
    with _servers(arguments.database, arguments.jobs) as (es, database_urls):
        lanes = [Crashes(es, database_url) for database_url in database_urls]
        tallies = asyncio.run(_run(arguments, lanes))
    titles = ("tried", "completed", "lost", "stuck", "seconds")
    say(f"\n{'seed ' + str(arguments.seed):<24}" + "".join(f"{title:>11}" for title in titles))
    for tally in tallies:
        say(tally.line())
    return 0 if all(ending.good for tally in tallies for ending in tally.endings) else 1


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _run(arguments: argparse.Namespace, lanes: Sequence[Crashes]) -> list[Tally]:
    chosen = random.Random(arguments.seed)
    tallies: list[Tally] = []
    for name in arguments.kinds:
        tallies.append(await _kind(lanes, name, arguments.every, chosen))
    if arguments.batches:
        tallies.append(await _batches(lanes, arguments))
    return tallies


async def _kind(lanes: Sequence[Crashes], name: str, every: int, chosen: random.Random) -> Tally:
    counts = await lanes[0].count(KINDS[name])
    everywhere = boundaries(counts)
    some = everywhere[chosen.randrange(every) :: every]
    say(f"{name}: {dict(counts)}, {len(some)} of {len(everywhere)} boundaries")
    return await _side_by_side(name, lanes, some, lambda lane, b: lane.at(KINDS[name], b))


async def _batches(lanes: Sequence[Crashes], arguments: argparse.Namespace) -> Tally:
    seeds = range(arguments.seed, arguments.seed + arguments.batches)
    tally = await _side_by_side(
        "batches", lanes, seeds, lambda lane, seed: lane.in_a_batch(seed, arguments.kills)
    )
    say(f"batches: {'; '.join(str(ending.boundary) for ending in tally.endings)}")
    return tally


async def _side_by_side(
    name: str,
    lanes: Sequence[Crashes],
    cases: Sequence[T],
    crash: Callable[[Crashes, T], Awaitable[Ending]],
) -> Tally:
    """Works `cases` off; every lane has a database, and so a queue, of its own."""
    tally, began, left = Tally(name), time.monotonic(), iter(cases)

    async def work(lane: Crashes) -> None:
        for case in left:
            tally.add(await crash(lane, case))
            if len(tally.endings) % 20 == 0:
                say(f"  {name}: {len(tally.endings)}, {time.monotonic() - began:.0f} s")

    await asyncio.gather(*(work(lane) for lane in lanes))
    tally.seconds = time.monotonic() - began
    return tally


@contextmanager
def _servers(database: str, jobs: int) -> Generator[tuple[Elastic, list[str]]]:
    with ElasticsearchServer("8.19") as server, Elastic(server.url) as es:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            wipe(client)
        if database == "sqlite":
            with tempfile.TemporaryDirectory(prefix="rq-crashes-") as folder:
                yield es, [f"sqlite:///{folder}/queue-{n}.db" for n in range(jobs)]
        else:
            with PostgresServer() as postgres:
                yield es, [postgres.create_database() for _ in range(jobs)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crash_run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the random choices; default 1")
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=4, help="crashes side by side; default 4")
    parser.add_argument("--every", type=int, default=1, help="only every N-th boundary")
    parser.add_argument("--batches", type=int, default=3, help="batches killed at random moments")
    parser.add_argument("--kills", type=int, default=12, help="most kills in a batch")
    return parser


def _kinds(text: str) -> Sequence[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(KINDS):
        raise argparse.ArgumentTypeError(f"no such kind: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
