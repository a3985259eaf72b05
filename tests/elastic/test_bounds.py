"""Answers larger than memory has room for are not read to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from app.copying.tasks import judge_task
from app.domain.errors import AnswerMisread, AnswerTooLarge, DocumentsRefused
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.http import MOST_BYTES, Credentials
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elastic.test_connection import A
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

PIECE = b'"' + b"x" * 1_048_574 + b'",'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\n"


class Endless:
    """A server that answers every request with JSON that does not end; `sent` bytes of it.

    `length`: it promises so many bytes at the start.
    """

    def __init__(self, length: int | None = None) -> None:
        self.sent = self.requests = 0
        self._length = length

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            length = b"content-length: %d\r\n\r\n" % self._length if self._length else None
            writer.write(HEAD + (length or b"transfer-encoding: chunked\r\n\r\n"))
            writer.write(b"1\r\n[\r\n" if length is None else b"[")
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if length is None else PIECE)
                await writer.drain()
                self.sent += len(PIECE)
        except ConnectionError:
            writer.close()


@asynccontextmanager
async def before(server: Endless) -> AsyncGenerator[Cluster]:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    connection = Connection([f"http://127.0.0.1:{port}"], Credentials())
    async with listening:
        yield Cluster.for_worker(connection, lambda: None)
        await connection.close()


async def test_an_endless_answer_is_given_up_and_not_asked_for_again() -> None:
    server = Endless()
    async with before(server) as cluster:
        with pytest.raises(AnswerTooLarge, match="GET /_nodes/os is larger than 128 MiB"):
            await cluster.nodes.versions()
        with pytest.raises(AnswerTooLarge):
            await cluster.indices.open(A)
    assert server.requests == 2
    assert MOST_BYTES < server.sent / 2 < MOST_BYTES * 1.5


async def test_an_answer_that_promises_too_much_is_not_read_at_all() -> None:
    server = Endless(MOST_BYTES + 1)
    async with before(server) as cluster:
        with pytest.raises(AnswerTooLarge):
            await cluster.indices.look(A)
    assert server.sent < MOST_BYTES / 4


async def test_json_nested_without_end_is_not_understood(cluster: Cluster, relay: Relay) -> None:
    json = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
    relay.answer("*", "", 200, b'{"a":' * 200_000, json, times=None)
    with pytest.raises(AnswerMisread):
        await cluster.nodes.version()


async def test_a_task_that_says_too_much_of_its_failures_is_asked_for_less(
    cluster: Cluster, relay: Relay, es: Elastic
) -> None:
    """Thousands of refused documents, each with its own value in the reason."""
    filled(es, "a", mappings={"dynamic": False}, settings={"number_of_replicas": 0})
    es.put("/b", {"mappings": {"dynamic": "strict"}, "settings": {"number_of_replicas": 0}})

    async def too_much(_: Seen) -> web.Response:
        return web.Response(body=bytes(MOST_BYTES + 1))

    relay.when("GET", "^/_tasks/[^?]*$", too_much, None)
    task_id = await cluster.tasks.start_copy(
        {"source": {"index": "a"}, "dest": {"index": "b"}}, "rq:x"
    )

    async def failed() -> bool:
        task = await cluster.tasks.get(task_id)
        return task is not None and bool(task.response.get("failures"))

    await eventually(failed, "the task has failed")
    task = await cluster.tasks.get(task_id)
    assert task is not None
    with pytest.raises(DocumentsRefused) as caught:
        judge_task(task)
    assert caught.value.counts == {"strict_dynamic_mapping_exception": 20}
    assert caught.value.documents[0].reason == "no reason given"
