"""The very same service, which breaks something at a told moment: `python -m tests.e2e.killable`.

Counted from the order, each kind by itself, from 1:

- `request`: what the worker sends to Elasticsearch (what API and `/readyz` ask is not counted).
  *Before*: not sent; *after*: applied and answered, but the service has not seen the answer.
- `commit`: of transactions that wrote a job, the enqueueing one included. *Before*: not
  committed; *after*: committed, but the caller does not know.

`REINDEX_TEST_KILL=request:after:12` is the order. `REINDEX_TEST_ONLY` is a pattern that a request
(`POST /_aliases {"actions": …}`) must contain to be counted. `REINDEX_TEST_HOW` is what happens:

- `KILL` (the default) and `STOP` are signals to itself,
- `CUT` loses the connection: a request gets a header at which `cutting_relay` cuts it, of a commit
  PostgreSQL ends the session (before) or the socket takes no answer any more (after).

`REINDEX_TEST_ORDERS` names a file with such an order in JSON; a new text in it is a new order, so
that one process serves for many. `REINDEX_TEST_COUNTED` names a file that gets a line for all that
is counted, `REINDEX_TEST_REACHED` one that is made when the moment comes. `REINDEX_TEST_IDLE` is
how many seconds an idle worker waits for a wake-up until it looks by itself,
`REINDEX_TEST_CHANGE_SECONDS` how long a change may take.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
from aiohttp import web
from elastic_transport import HttpHeaders
from sqlalchemy import Connection, Dialect, Engine, event

from app.cli import commands
from app.elastic import connection
from app.elastic.http import Node
from app.jobs import worker
from app.telemetry import running_part
from testbed.relay import Relay, Seen
from tests.e2e.process import Child, die_with_parent, run

CUT = "x-test-cut"
"""The header of a request whose connection the relay cuts, `before` or `after` it is applied."""

WRITES_A_JOB = re.compile(r"(INSERT INTO|UPDATE) job\b")


class Order:
    """What is to happen when; counts on the way."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._orders = environment.get("REINDEX_TEST_ORDERS")
        self._counted = environment.get("REINDEX_TEST_COUNTED")
        self._reached = environment.get("REINDEX_TEST_REACHED")
        self._database = environment.get("DATABASE_URL", "")
        self._text = ""
        self._take(environment)

    def _take(self, order: Mapping[str, str]) -> None:
        kind, side, number = order.get("REINDEX_TEST_KILL", "::0").split(":")
        self._moment = (kind, side, int(number))
        self._only = re.compile(order.get("REINDEX_TEST_ONLY", ""), re.DOTALL)
        self._how = order.get("REINDEX_TEST_HOW", "KILL")
        self._counts: Counter[str] = Counter()

    def comes(self, kind: str, text: str = "") -> int:
        """Just before something that counts; its number, 0 where it does not count."""
        self._look_for_another()
        if kind == "request" and not self._only.search(text):
            return 0
        self._counts[kind] += 1
        if self._counted:
            with Path(self._counted).open("a") as file:
                file.write(f"{kind} {' '.join(text.split())[:200]}\n")
        self._may_end(kind, "before", self._counts[kind])
        return self._counts[kind]

    def is_done(self, kind: str, number: int) -> None:
        """Just after it, when it has succeeded."""
        self._may_end(kind, "after", number)

    def cut(self, kind: str, number: int) -> str:
        """On which side of this one its connection is to be lost; empty: it is not."""
        there, side, wanted = self._moment
        if self._how != "CUT" or (kind, number) != (there, wanted):
            return ""
        self._note()
        return side

    def end_session(self, dbapi_connection: Any) -> None:
        """PostgreSQL ends the session, as at a fail-over: what it has not committed is gone."""
        pid = dbapi_connection.driver_connection.info.backend_pid
        with psycopg.connect(self._database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    def _look_for_another(self) -> None:
        if self._orders and (text := Path(self._orders).read_text()) != self._text:
            self._text = text
            self._take(json.loads(text))

    def _may_end(self, kind: str, side: str, number: int) -> None:
        if self._how != "CUT" and (kind, side, number) == self._moment:
            self._note()
            os.kill(os.getpid(), signal.Signals[f"SIG{self._how}"])

    def _note(self) -> None:
        if self._reached:
            Path(self._reached).touch()


def hook_requests(order: Order) -> None:
    """The client is made with a node that counts."""

    class CountingNode(Node):
        async def perform_request(self, *args: Any, **options: Any) -> Any:
            if running_part() != "worker":
                return await super().perform_request(*args, **options)
            body = (options.get("body") or b"").decode()
            number = order.comes("request", f"{args[0]} {args[1]} {body}")
            if side := order.cut("request", number):
                options["headers"] = HttpHeaders({**(options.get("headers") or {}), CUT: side})
            answer = await super().perform_request(*args, **options)
            order.is_done("request", number)
            return answer

    connection.Node = CountingNode  # pyright: ignore[reportPrivateImportUsage]


def hook_commits(order: Order) -> None:
    """SQLAlchemy tells of a commit before it; for after it the dialect's own call is wrapped.

    Nothing else runs between that event and the dialect's call.
    """
    wrapped: set[Dialect] = set()
    pending: list[int] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def on_statement(conn: Connection, _cursor: Any, statement: str, *_: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if WRITES_A_JOB.match(statement):
            conn.info["writes a job"] = True

    @event.listens_for(Engine, "rollback")
    def on_rollback(conn: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        conn.info.pop("writes a job", None)

    @event.listens_for(Engine, "commit")
    def on_commit(conn: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        if conn.dialect not in wrapped:
            wrapped.add(conn.dialect)
            _wrap_commit(conn.dialect, pending, order)
        if conn.info.pop("writes a job", False):
            pending.append(order.comes("commit"))


def _wrap_commit(dialect: Dialect, pending: list[int], order: Order) -> None:
    original = dialect.do_commit

    def do_commit(dbapi_connection: Any) -> None:
        number = pending.pop() if pending else 0
        side = order.cut("commit", number)
        if side == "before":
            order.end_session(dbapi_connection)
        elif side == "after":
            _take_no_answer(dbapi_connection)
        original(dbapi_connection)
        order.is_done("commit", number)

    dialect.do_commit = do_commit  # pyright: ignore[reportAttributeAccessIssue]


def _take_no_answer(dbapi_connection: Any) -> None:
    """What is sent still goes out, and PostgreSQL does it; what comes back is lost."""
    with socket.socket(fileno=os.dup(dbapi_connection.driver_connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RD)


def cutting_relay(relay: Relay) -> None:
    """Makes the relay cut what `Order` has marked."""

    async def cut(request: Seen) -> web.Response | None:
        side = request.headers.get(CUT)
        answer = None if side == "before" else await relay.forward(request)
        return None if side else answer

    relay.when("*", "", cut, None)


def main() -> None:
    order = Order(os.environ)
    hook_requests(order)
    hook_commits(order)
    worker.IDLE_SECONDS = float(os.environ.get("REINDEX_TEST_IDLE", worker.IDLE_SECONDS))
    seconds = os.environ.get("REINDEX_TEST_CHANGE_SECONDS", connection.CHANGE_SECONDS)
    connection.CHANGE_SECONDS = float(seconds)
    sys.argv[:] = ["reindex-queue", "serve"]
    commands.run()


def killable(environment: Mapping[str, str], log: Path, folder: Path) -> Child:
    """Starts this module in a new interpreter."""
    return run([sys.executable, "-m", __name__], environment, log, folder)


class Forked:
    """A child of a process that has everything imported already: a start in 0.3 instead of 2 s."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None
        return self._process.exitcode


def forked(environment: Mapping[str, str], log: Path, folder: Path) -> Child:
    """Starts this module as a fork of a server process, which dies with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(
        target=_in_fork, args=(dict(environment), str(log), str(folder)), daemon=True
    )
    process.start()
    return Forked(process)


def _in_fork(environment: dict[str, str], log: str, folder: str) -> None:
    die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    main()


if __name__ == "__main__":
    main()
