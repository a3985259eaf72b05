"""`python -m benchmarks [PART …]`: measures, prints a table, writes CSV to benchmarks/results."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from app import telemetry
from benchmarks import (
    copying,
    history,
    memory,
    overhead,
    proving,
    queueing,
    searching,
    small_indices,
    start,
    way,
)
from benchmarks.publishing import publish
from benchmarks.report import Line, show, write
from testbed.elasticsearch import ElasticsearchServer
from tests.elasticsearch import Elastic

RESULTS = Path(__file__).parent / "results"
Part = Callable[[Elastic, Path, argparse.Namespace], Awaitable[list[Line]]]

PARTS: dict[str, Part] = {
    "small": lambda es, _, a: small_indices.measure(es, a.pairs, a.indices),
    "overhead": lambda es, folder, _: overhead.measure(es, f"sqlite:///{folder}/own.db", 60),
    "queueing": lambda es, folder, a: queueing.measure(es, folder, a.pairs),
    "history": lambda es, folder, a: history.measure(es, folder, a.pairs, 20),
    "copying": lambda es, _, a: copying.measure(es, a.pairs, a.documents),
    "proving": lambda es, _, a: proving.measure(es, a.pairs, a.documents),
    "searching": lambda es, _, a: searching.measure(es, a.pairs, a.documents),
    "way": lambda es, folder, _: way.measure(es, f"sqlite:///{folder}/way.db"),
    "memory": lambda es, _, a: memory.measure(es),  # noqa: ARG005 - called as the others
}
WITHOUT_SERVER: dict[str, Callable[[argparse.Namespace], list[Line]]] = {
    "start": lambda a: start.measure(a.pairs),
}


def main() -> int:
    arguments = _parser().parse_args()
    telemetry.configure(json=False, level="ERROR")
    RESULTS.mkdir(exist_ok=True)
    if arguments.publish:
        publish(RESULTS)
        return 0
    machine = (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}, load before the start {os.getloadavg()[0]:.1f}"
    )
    print(machine)
    for name in arguments.parts or (*PARTS, *WITHOUT_SERVER):
        print(f"\n{name}", file=sys.stderr, flush=True)
        if name in WITHOUT_SERVER:
            lines = WITHOUT_SERVER[name](arguments)
        else:
            lines = asyncio.run(_measure(PARTS[name], arguments))
        show(lines)
        write(lines, RESULTS / f"{name}.csv", machine)
    return 0


async def _measure(part: Part, arguments: argparse.Namespace) -> list[Line]:
    """Every such part has a server of its own, so that none pays for the litter of another."""
    with (
        ElasticsearchServer("8.19", full_speed=True) as server,
        Elastic(server.url) as es,
        tempfile.TemporaryDirectory(prefix="rq-bench-") as folder,
    ):
        es.put("/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": 20_000}})
        return await part(es, Path(folder), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS, *WITHOUT_SERVER], default=[], metavar="PART"
    )
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default 5)")
    parser.add_argument("--indices", type=int, default=100, help="small indices (default 100)")
    parser.add_argument(
        "--documents", type=int, default=1_000_000, help="documents to copy (default a million)"
    )
    parser.add_argument(
        "--publish", action="store_true", help="measure nothing; write docs/benchmarks.md"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
