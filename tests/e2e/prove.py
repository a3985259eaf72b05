"""The crash matrix: `python -m tests.e2e.prove`, or `make prove`.

One operation of every kind is broken at every request and every commit, before and after it: the
service is killed and started again, or the connection is cut. A batch is killed at random moments.
Each time the work must end by itself, with nothing lost and nothing left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg

from testbed.elasticsearch import ElasticsearchServer
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from testbed.wipe import wipe
from tests import readme_figures
from tests.e2e import figures
from tests.e2e.crashes import Crashes, Ending
from tests.e2e.figures import BATCHES, DATABASES, Tried
from tests.e2e.kinds import KINDS
from tests.e2e.orders import Boundary, How, boundaries
from tests.elasticsearch import Elastic

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "proof-results"
ON_POSTGRESQL = ("plain", "cancelled")
"""The kinds that are tried there, too, where all are asked for."""

ROUNDS = 5

Case = tuple[str, Callable[[Crashes], Awaitable[Ending]]]
"""The kind, and what a lane does."""


def main() -> int:
    """The exit code is 1 if anything was lost or stuck."""
    arguments = _parser().parse_args()
    began = time.monotonic()
    versions = [f"Reindex Queue at {_commit()}", f"Python {platform.python_version()}"]
    with ElasticsearchServer("8.19", full_speed=True) as server, Elastic(server.url) as es:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            wipe(client)
        versions.append(f"Elasticsearch {es.get('/')['version']['number']}")
        tried, there = asyncio.run(_run(es, arguments, versions))
        left = es.indices()
    versions.append(f"{len(tried):,} of {there:,} boundaries")
    _report(arguments, tried, versions, (time.monotonic() - began) / 60)
    if left:
        say(f"left in the cluster: {', '.join(sorted(left))}")
    return 0 if not left and tried and all(one.ending.good for one in tried) else 1


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _run(
    es: Elastic, arguments: argparse.Namespace, versions: list[str]
) -> tuple[list[Tried], int]:
    """Both databases side by side, each with lanes of its own; how many cases there were to try."""
    tried: list[Tried] = []
    there = 0
    began = time.monotonic()
    until = began + 60 * arguments.minutes if arguments.minutes else float("inf")
    async with AsyncExitStack() as stack:
        works: list[Coroutine[Any, Any, None]] = []
        for database in arguments.databases:
            jobs = arguments.jobs if database == arguments.databases[0] else 1
            lanes = await stack.enter_async_context(_lanes(database, es, jobs, versions))
            cases = await _cases(database, lanes[0], arguments)
            left = iter(cases)
            there += len(cases)
            works += [_work(database, lane, left, tried, until) for lane in lanes]
            say(f"{database}: {len(cases)} cases")
        await asyncio.gather(*works)
    return tried, there


async def _cases(database: str, lane: Crashes, arguments: argparse.Namespace) -> list[Case]:
    """In rounds, so that a run that is stopped early has tried a part of every kind."""
    kinds = arguments.kinds or (list(KINDS) if database == "sqlite" else ON_POSTGRESQL)
    chosen = random.Random(arguments.seed)
    rounds: list[list[Case]] = [[] for _ in range(ROUNDS)]
    for name in kinds:
        boundaries = await _boundaries(lane, name, arguments, chosen)
        for number, part in enumerate(rounds):
            part += [(name, _at(name, boundary)) for boundary in boundaries[number::ROUNDS]]
    if database == "sqlite":
        for seed in range(arguments.seed, arguments.seed + arguments.batches):
            rounds[0].append((BATCHES, _in_a_batch(seed, arguments.kills)))
    return [case for part in rounds for case in part]


async def _boundaries(
    lane: Crashes, name: str, arguments: argparse.Namespace, chosen: random.Random
) -> list[Boundary]:
    counts = await lane.count(KINDS[name])
    everywhere: list[Boundary] = []
    for how in cast(Sequence[How], arguments.hows):
        commits = how == "kill" or not lane.on_sqlite
        everywhere += boundaries(counts, how, commits=commits)
    some = chosen.sample(everywhere, -(-len(everywhere) // arguments.every))
    say(f"{name}: {dict(counts)}, {len(some)} of {len(everywhere)} boundaries")
    return some


def _at(name: str, boundary: Boundary) -> Callable[[Crashes], Awaitable[Ending]]:
    return lambda lane: lane.at(KINDS[name], boundary)


def _in_a_batch(seed: int, kills: int) -> Callable[[Crashes], Awaitable[Ending]]:
    return lambda lane: lane.in_a_batch(seed, kills)


async def _work(
    database: str, lane: Crashes, cases: Iterator[Case], tried: list[Tried], until: float
) -> None:
    """Works `cases` off with others; every lane has a database, and so a queue, of its own."""
    for name, crash in cases:
        start = time.monotonic()
        if start > until:
            return
        one = Tried(database, name, await crash(lane), time.monotonic() - start)
        tried.append(one)
        _complain(one)
        if len(tried) % 50 == 0:
            say(f"  {len(tried)}, {datetime.now():%H:%M:%S}: {name}")


def _complain(one: Tried) -> None:
    ending = one.ending
    if not ending.reached:
        say(f"  {one.kind}: {ending.boundary} was not reached")
    if not ending.good:
        word = "STUCK" if ending.stuck else "LOST"
        say(f"  {one.database} {one.kind}: {ending.boundary}: {word}: {'; '.join(ending.faults)}")


@asynccontextmanager
async def _lanes(
    database: str, es: Elastic, jobs: int, versions: list[str]
) -> AsyncGenerator[list[Crashes]]:
    async with AsyncExitStack() as stack:
        if database == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rq-prove-"))
            urls = [f"sqlite:///{folder}/queue-{n}.db" for n in range(jobs)]
            versions.append(f"SQLite {sqlite3.sqlite_version}")
        else:
            postgres = stack.enter_context(PostgresServer())
            urls = [postgres.create_database() for _ in range(jobs)]
            with psycopg.connect(postgres.url) as connection:
                (version,) = connection.execute("SHOW server_version").fetchone() or ("?",)
            versions.append(f"PostgreSQL {version}")
        lanes: list[Crashes] = []
        for url in urls:
            relay = await stack.enter_async_context(Relay(es.url))
            lanes.append(await stack.enter_async_context(Crashes(es, relay, url)))
        yield lanes


def _report(
    arguments: argparse.Namespace, tried: Sequence[Tried], versions: list[str], minutes: float
) -> None:
    say("")
    for line in figures.for_the_terminal(tried):
        say(line)
    figures.write_csv(RESULTS / "boundaries.csv", tried)
    whole = _is_whole(arguments)
    file = ROOT / "docs" / "proof.md" if whole else RESULTS / "proof.md"
    text = "\n".join(_page(arguments, tried, versions, minutes)) + "\n"
    file.write_text(text)
    if whole:
        readme_figures.put("make prove", figures.of_page(text))
    say(f"\n{minutes:.0f} minutes; every boundary is in {RESULTS.name}/boundaries.csv")
    say(f"written: {file.relative_to(ROOT)}")


def _page(
    arguments: argparse.Namespace, tried: Sequence[Tried], versions: list[str], minutes: float
) -> Iterable[str]:
    limits = [f"one in {arguments.every}"] if arguments.every > 1 else []
    limits += [f"as many as {arguments.minutes:g} minutes allow"] if arguments.minutes else []
    part = " and ".join(limits) or "every boundary"
    now = datetime.now(UTC)
    yield "# What breaks, and what becomes of it"
    yield ""
    yield "Written by `make prove`; no figure in it is typed in."
    yield ""
    yield f"{now:%Y-%m-%d}, {minutes:.0f} minutes, {part}, seed {arguments.seed}."
    yield f"{', '.join(versions)}."
    yield ""
    yield (ROOT / "tests" / "e2e" / "proof.txt").read_text().strip()
    yield ""
    yield from figures.as_markdown(tried)
    batches = [str(one.ending.boundary) for one in tried if one.kind == BATCHES]
    if batches:
        yield ""
        yield f"Batches of ten: {'; '.join(batches)}."


def _is_whole(arguments: argparse.Namespace) -> bool:
    everything = not arguments.kinds and arguments.every == 1 and not arguments.minutes
    return arguments.publish or (
        everything and len(arguments.hows) == len(arguments.databases) == 2
    )


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the random choices; default 1")
    parser.add_argument("--kinds", type=_list_of(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument(
        "--hows", type=_list_of(("kill", "cut")), default=["kill", "cut"], help="of kill,cut"
    )
    parser.add_argument(
        "--databases", type=_list_of(DATABASES), default=list(DATABASES), help="of the two"
    )
    parser.add_argument("--jobs", type=int, default=4, help="crashes side by side; default 4")
    parser.add_argument("--minutes", type=float, help="no new one after that; default: all")
    parser.add_argument("--publish", action="store_true", help="also a part into README and docs")
    parser.add_argument("--every", type=int, default=1, help="only every N-th boundary")
    parser.add_argument("--batches", type=int, default=3, help="batches killed at random moments")
    parser.add_argument("--kills", type=int, default=12, help="most kills in a batch")
    return parser


def _list_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def parse(given: str) -> list[str]:
        names = [name for name in given.split(",") if name]
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
