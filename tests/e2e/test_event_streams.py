"""Streams of events of a service that is killed, stopped, and listened to by many."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testbed.postgres import PostgresServer
from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.sse import PATH, STREAM, Reader, reading
from tests.store.database import execute
from tests.store.event_writer import Write, writing

NOWHERE = {"ELASTICSEARCH_HOSTS": "http://127.0.0.1:9"}
MOST = 200
A_TEXT = "x" * 300


def all_numbers(database_url: str) -> list[int]:
    return [row[0] for row in execute(database_url, "SELECT number FROM event ORDER BY number")]


async def change_pace(service: ServiceProcess, times: int) -> None:
    """So many changes, each of which is an event; those that do not come about, because the service
    or its database is away, are tried again."""
    done = 0
    while done < times:
        try:
            answer = await service.client.put("/api/v1/pace", json={"requestsPerSecond": done + 1})
        except httpx.TransportError:
            await asyncio.sleep(0.1)
        else:
            done += answer.status_code == 200


async def test_a_reader_that_comes_back_has_every_event_once_over_kills(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    async with ServiceProcess({**NOWHERE, "DATABASE_URL": database_url}) as service:
        await change_pace(service, 3)
        async with reading(Reader(service.url, {"after": "default:0"})) as reader:
            for _ in range(2):
                begun = all_numbers(database_url)[-1]
                changing = asyncio.ensure_future(change_pace(service, 20))
                await reader.has(begun + 5)
                service.kill()
                await service.start()
                await changing
                await reader.has(all_numbers(database_url)[-1])
            if database_url.startswith("postgresql"):
                server: PostgresServer = request.getfixturevalue("postgres_server")
                changing = asyncio.ensure_future(change_pace(service, 20))
                await asyncio.to_thread(server.restart)
                await changing
            await change_pace(service, 3)
            expected = all_numbers(database_url)
            await reader.has(expected[-1])
        assert reader.times >= 3
        assert reader.numbers == expected == list(range(1, len(expected) + 1))
        assert len(expected) > 40


async def test_a_reader_goes_on_at_another_service(postgres_url: str) -> None:
    settings = {**NOWHERE, "DATABASE_URL": postgres_url}
    async with ServiceProcess(settings) as first, ServiceProcess(settings) as standby:
        reader = Reader(first.url)
        async with reading(reader):
            await change_pace(first, 5)
            await reader.has(5)
        first.kill()
        await change_pace(standby, 5)
        reader.url = standby.url
        async with reading(reader):
            expected = all_numbers(postgres_url)
            await reader.has(expected[-1])
        assert reader.numbers == expected


async def test_streams_end_at_once_when_the_service_is_stopped() -> None:
    async with ServiceProcess(NOWHERE) as service:
        readers = [Reader(service.url) for _ in range(5)]
        tasks = [asyncio.ensure_future(reader.once()) for reader in readers]
        for reader in readers:
            await reader.begun()
        assert await service.terminate() == 0
        await asyncio.gather(*tasks)  # ended, not cut
        assert "event_stream_cut" not in service.log
        check_good_order(service)


async def test_a_stop_does_not_wait_for_readers_that_take_nothing() -> None:
    """Of a stream, and of one that was asked for behind a page, on the same connection."""
    count, text = 3_000, "x" * 4_000
    async with ServiceProcess(NOWHERE) as service:
        database = f"sqlite:///{service.folder / 'reindex-queue.db'}"
        async with writing(database, "default") as write:
            drain = await Drain.open(service.port)
            with (
                lazy(service.port),
                lazy(service.port, first="/api/v1/events?limit=500"),
            ):
                for _ in range(count // 500):
                    await write(500, text)

                async def told() -> bool:
                    return drain.last >= count

                await eventually(told, "another reader has all of it", 60)
                assert "event_stream_cut" not in service.log
                assert await service.terminate() == 0
            await drain.close()
        assert "event_stream_cut" in service.log
        check_good_order(service)


def check_good_order(service: ServiceProcess) -> None:
    """uvicorn tells when answers are still open at the end of the time for a stop."""
    assert "graceful" not in service.log
    assert "ERROR" not in service.log.upper().replace("ELASTICSEARCH", "")
    assert "Traceback" not in service.log


async def test_two_hundred_streams_are_held_in_flat_memory_and_one_more_is_refused() -> None:
    async with ServiceProcess(NOWHERE) as service:
        database = f"sqlite:///{service.folder / 'reindex-queue.db'}"
        drains = [await Drain.open(service.port) for _ in range(MOST)]
        refused = await service.client.get(PATH, headers=STREAM)
        assert refused.status_code == 503
        assert refused.json()["message"].startswith("200 streams of events are open")
        assert (await service.client.get(PATH)).status_code == 200  # a page is no stream
        async with writing(database, "default") as write:
            await told_to_all(write, drains, 0, 4_500)
            before = resident_bytes(service.pid)
            await told_to_all(write, drains, 4_500, 9_000)
        assert resident_bytes(service.pid) - before < 16 * 2**20
        for drain in drains[:10]:
            await drain.close()

        async def admitted() -> bool:
            async with service.client.stream("GET", PATH, headers=STREAM) as answer:
                return answer.status_code == 200

        await eventually(admitted, "a place that was left is free")
        for drain in drains[10:]:
            await drain.close()


async def test_a_reader_that_takes_nothing_is_cut_and_misses_nothing() -> None:
    """More is written than all buffers on the way hold; what it was sent it finds when it reads."""
    count = 30_000
    async with ServiceProcess(NOWHERE) as service:
        database = f"sqlite:///{service.folder / 'reindex-queue.db'}"
        async with writing(database, "default") as write:
            await write(500, A_TEXT)
            with lazy(service.port) as connection:
                before = resident_bytes(service.pid)
                for _ in range(count // 500 - 1):
                    await write(500, A_TEXT)

                async def cut() -> bool:
                    return "event_stream_cut" in service.log

                await eventually(cut, "it is cut", 60, pause=0.2)
                assert resident_bytes(service.pid) - before < 24 * 2**20
                sent = await asyncio.to_thread(rest_of, connection)
        whole = rb"id: default:(\d+),_service:0\ndata: [^\n]*\n\n"
        numbers = [int(number) for number in re.findall(whole, sent)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert 0 < len(numbers) < count
        async with reading(Reader(service.url, last_id=f"default:{numbers[-1]}")) as again:
            await again.has(count)
        assert numbers + again.numbers == list(range(1, count + 1))


@contextmanager
def lazy(port: int, first: str = "") -> Generator[socket.socket]:
    """A client that has asked for all events and reads none of them, with a small buffer. `first`:
    the path that it asks for before that, on the same connection."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", port))
        before = f"GET {first} HTTP/1.1\r\nhost: localhost\r\n\r\n" if first else ""
        request = f"GET {PATH}?after=default:0 HTTP/1.1\r\nhost: localhost\r\n"
        connection.sendall(f"{before}{request}accept: text/event-stream\r\n\r\n".encode())
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    """All that is there to be read, to the end of the connection."""
    connection.settimeout(30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    pieces: list[bytes] = []
    while piece := connection.recv(2**20):
        pieces.append(piece)
    return b"".join(pieces)


async def told_to_all(write: Write, drains: list[Drain], begin: int, end: int) -> None:
    for _ in range(begin, end, 500):
        await write(500, A_TEXT)

    async def told() -> bool:
        return all(drain.last >= end for drain in drains)

    await eventually(told, lambda: f"{min(d.last for d in drains)} of {end} came", 90, pause=0.1)


class Drain:
    """Reads a stream and keeps nothing of it but the number of the last event, `last`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._task = asyncio.ensure_future(self._read())
        self.last = 0

    @classmethod
    async def open(cls, port: int) -> Drain:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {PATH} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        return cls(reader, writer)

    async def _read(self) -> None:
        while piece := await self._reader.read(2**18):
            at = piece.rfind(b"id: default:")
            number = piece[at + 12 : at + 30].split(b",")[0]
            if at >= 0 and number.isdigit():
                self.last = int(number)

    async def close(self) -> None:
        self._task.cancel()
        self._writer.close()
        await asyncio.gather(self._task, return_exceptions=True)


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
