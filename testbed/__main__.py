"""`python -m testbed`: fetch servers into the cache, or run one to play with."""

from __future__ import annotations

import argparse
import signal
import sys

from testbed.distributions import DISTRIBUTIONS, fetch
from testbed.elasticsearch import ElasticsearchServer
from testbed.errors import TestbedError

DEFAULT_SERIES = "8.19"


def main() -> int:
    """Run the command line; the exit status is 1 after a TestbedError, which goes to stderr."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "fetch":
            _fetch(arguments.series or [DEFAULT_SERIES])
        else:
            _run_elasticsearch(arguments.series, arguments.port, security=arguments.security)
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="download servers that are not in the cache yet")
    fetching.add_argument("series", nargs="*", help=f"of {', '.join(DISTRIBUTIONS)}; default 8.19")
    running = commands.add_parser("elasticsearch", help="run a server until Ctrl-C or SIGTERM")
    running.add_argument("--series", default=DEFAULT_SERIES, help="default %(default)s")
    running.add_argument("--port", type=int, help="default: any free port")
    running.add_argument("--security", action="store_true", help="ask for a name and a password")
    return parser


def _fetch(series: list[str]) -> None:
    for one in series:
        sys.stdout.write(f"Elasticsearch {one}: {fetch(one)}\n")


def _run_elasticsearch(series: str, port: int | None, *, security: bool) -> None:
    """Print the address on a line of its own when the server is ready, then wait for a signal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with ElasticsearchServer(series, port=port, security=security) as server:
        sys.stdout.write(f"{server.url}\n")
        if server.auth:
            sys.stdout.write(f"user {server.auth[0]}, password {server.auth[1]}\n")
        sys.stdout.flush()
        signal.pause()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
