"""One operation, or one batch, with the service killed or cut off on the way."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from app.store.engine import parse_url
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.e2e.killable import cutting_relay, forked
from tests.e2e.kinds import AWAY, KINDS, LONG, Kind, Subject
from tests.e2e.orders import Boundary, Orders
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE
from tests.store.database import claims_astray

STUCK_SECONDS = 90.0
A_MOMENT = 60
"""Requests; an operation sends about as many."""
"""An operation that has not ended so long after the restart counts as stuck."""
IN_FLIGHT = 3
"""Windows that may be on their way at the moment of a crash, and so be sent again."""
NEWER = "/api/reindex_service/reindex/batch"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ending:
    """What became of one crash. `reached`: the boundary came at all.

    Of the operation's `windows` so many were sent again (`again`), which writes nothing twice.
    """

    boundary: object
    reached: bool
    stuck: bool
    faults: Sequence[str]
    windows: int = 0
    again: int = 0

    @property
    def good(self) -> bool:
        return not self.stuck and not self.faults


class Crashes:
    """Crashes of a service before one Elasticsearch and one database, which are used again.

    The service process is, too, as long as it lives and its settings are those of the next kind.
    """

    def __init__(self, es: Elastic, relay: Relay, database_url: str) -> None:
        self._es = es
        self._relay = relay
        self._database_url = database_url
        self._orders = Orders()
        self._environment = {
            "ELASTICSEARCH_HOSTS": relay.url,
            "DATABASE_URL": database_url,
            "REINDEX_LEASE_SECONDS": "1",
            "REINDEX_HEALTH_GATE": "false",  # it asks by the clock: runs would differ
            "REINDEX_CLUSTER_ID": f"crashes-{next(_numbers)}",
            **self._orders.environment,
        }
        cutting_relay(relay)
        self._kind: Kind | None = None
        self._service: ServiceProcess | None = None

    @property
    def on_sqlite(self) -> bool:
        return self._database_url.startswith("sqlite:")

    async def count(self, kind: Kind) -> Counter[str]:
        """How many requests and commits an unharmed operation of that kind makes.

        Of two, the first of a new process, the more: how often a task is looked at differs.
        """
        most = Counter[str]()
        for _ in range(2):
            subject = await self._subject(kind)
            try:
                service = await self._serving(kind)
                self._order(None)
                faults = await asyncio.to_thread(subject.faults, await _drive(service, subject))
                faults += await asyncio.to_thread(claims_astray, self._database_url)
                assert not faults, faults
                most |= self._orders.counts
            finally:
                await asyncio.to_thread(subject.remove)
        return most

    async def at(self, kind: Kind, boundary: Boundary) -> Ending:
        """One operation that breaks at that boundary."""
        subject = await self._subject(kind)
        try:
            service = await self._serving(kind)
            self._order(boundary)
            accepted, died = await _until_death(service, subject)
            self._orders.give(None)
            sent, done = len(self._relay.seen), set[int]()
            if died:
                service.kill()
                done = await asyncio.to_thread(windows_done, self._database_url, subject.name)
                await service.start()
            faults = await _lost(service, [subject] if accepted else [])
            status = await _drive(service, subject)
            faults += await asyncio.to_thread(subject.faults, status)
            later = {window for window, _ in copies_sent(self._relay.seen[sent:])}
            faults += [f"window {n} was done and ran again" for n in done & later]
            faults += await asyncio.to_thread(claims_astray, self._database_url)
            return self._ending(boundary, faults)
        except (TimeoutError, AssertionError, httpx.HTTPError) as error:
            return await self._aborted(boundary, error)
        finally:
            await asyncio.to_thread(subject.remove)

    async def in_a_batch(self, seed: int, kills: int, size: int = 10) -> Ending:
        """A batch with the service killed `kills` times, each time at a random moment."""
        moments = random.Random(seed)
        kinds = [KINDS[name] for name in ("plain", "aliased", "closed", "empty", "failing")]
        subjects = [await self._subject(moments.choice(kinds)) for _ in range(size)]
        died = 0
        try:
            service = await self._serving(KINDS["plain"])
            self._order(None)
            await service.api.post_batch(*[subject.name for subject in subjects])
            while died < kills and await service.api.queue():
                await self._sent(service, moments.randint(0, A_MOMENT))
                service.kill()
                died += 1
                await service.start()
            faults = await _lost(service, subjects)
            statuses = [await _drive(service, subject) for subject in subjects]
            for subject, status in zip(subjects, statuses, strict=True):
                found = await asyncio.to_thread(subject.faults, status)
                faults += [f"{subject.name}: {fault}" for fault in found]
            faults += await asyncio.to_thread(claims_astray, self._database_url)
            return Ending(f"seed {seed}, {died} kills", died > 0, stuck=False, faults=faults)
        except (TimeoutError, AssertionError, httpx.HTTPError) as error:
            return await self._aborted(f"seed {seed}, {died} kills", error)
        finally:
            for subject in subjects:
                await asyncio.to_thread(subject.remove)

    async def _sent(self, service: ServiceProcess, requests: int) -> None:
        """Waits until the service has sent so many more requests, or has nothing more to do."""
        wanted = len(self._relay.seen) + requests

        async def so_many() -> bool:
            return len(self._relay.seen) >= wanted or not await service.api.queue()

        await eventually(so_many, f"{requests} requests are sent", LONG)

    async def close(self) -> None:
        """Kills the service."""
        if self._service:
            await self._service.close()
        self._service = None

    async def __aenter__(self) -> Crashes:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self._orders.close()

    def _ending(self, boundary: Boundary, faults: list[str]) -> Ending:
        sent = copies_sent(self._relay.seen)
        windows = len({window for window, _ in sent})
        again = len(sent) - windows
        if again > IN_FLIGHT:
            faults = [*faults, f"of the copy {again} windows were sent again"]
        return Ending(boundary, self._orders.reached, False, faults, windows, again)

    async def _aborted(self, boundary: object, error: Exception) -> Ending:
        """A stuck operation is left behind: the next one is of another cluster's queue."""
        log = self._service.log[-3000:] if self._service else ""
        await self.close()
        self._environment["REINDEX_CLUSTER_ID"] = f"crashes-{next(_numbers)}"
        stuck = isinstance(error, TimeoutError)
        return Ending(boundary, True, stuck, [repr(error), log])

    async def _subject(self, kind: Kind) -> Subject:
        return await asyncio.to_thread(Subject, self._es, kind, f"crash-{next(_numbers)}")

    async def _serving(self, kind: Kind) -> ServiceProcess:
        """The service with that kind's settings."""
        if self._service and self._kind and self._kind.settings == kind.settings:
            return self._service
        await self.close()
        self._kind = kind
        self._service = ServiceProcess({**self._environment, **kind.settings}, launch=forked)
        await self._service.start()
        return self._service

    def _order(self, boundary: Boundary | None) -> None:
        """Begins a case: what is counted, reached and seen belongs to it."""
        self._orders.give(boundary)
        self._orders.forget()
        self._relay.seen.clear()


def windows_done(database_url: str, index: str) -> set[int]:
    """The parts of that index's copy that the database knows to be done, asked past the service."""
    url = parse_url(database_url)
    engine = create_engine(url.set(drivername=url.drivername.replace("+aiosqlite", "")))
    query = text(
        "SELECT number FROM copy_window JOIN job ON job.id = job_id "
        "WHERE index_name = :index AND state = 'done'"
    )
    with engine.connect() as connection:
        found = {int(row[0]) for row in connection.execute(query, {"index": index})}
    engine.dispose()
    return found


def copies_sent(requests: Sequence[Seen]) -> list[tuple[int, int]]:
    """Window and attempt of every copy among them, by its `X-Opaque-Id`."""
    ids = [
        seen.headers["X-Opaque-Id"].split(":")
        for seen in requests
        if seen.method == "POST" and seen.path.startswith("/_reindex?")
    ]
    return [(int(window), int(attempt)) for _, _, window, attempt in ids]


async def _lost(service: ServiceProcess, accepted: Sequence[Subject]) -> list[str]:
    """Operations that were accepted before the crash and are not known after it."""
    names = [subject.name for subject in accepted]
    return [
        f"{name} was accepted, then forgotten"
        for name in names
        if not await service.api.newest(name)
    ]


async def _post(service: ServiceProcess, subject: Subject) -> bool:
    """Was it accepted? False also where the service itself does not know."""
    path, body = f"{BASE}/batch", dict[str, Any](indexNames=[subject.name])
    if subject.kind.stays:
        names = {"indexName": subject.name, "newIndexName": subject.target}
        path, body = NEWER, {"indices": [{**names, "reindexOptions": {"deleteOldIndex": False}}]}
    answer = await service.client.post(path, json=body)
    assert answer.status_code in (200, AWAY), answer.text
    return answer.status_code == 200 and not answer.json()["errors"]


async def _drive(service: ServiceProcess, subject: Subject) -> int:
    """What a client does: posts what is not there yet, asks its kind's wish, waits for the end.

    Answers the status; raises `TimeoutError` where it does not end.
    """
    async with asyncio.timeout(STUCK_SECONDS):
        while await service.api.newest(subject.name) is None:
            await _post(service, subject)
        if subject.kind.ask:
            await subject.kind.ask(service, subject.name)
        await service.api.newest_ended(subject.name, LONG)
        return (await service.api.operation(subject.name))["status"]


async def _until_death(service: ServiceProcess, subject: Subject) -> tuple[bool, bool]:
    """Drives until the service dies: was the POST accepted, and did it die before the end?"""
    accepted = False
    try:
        accepted = await _post(service, subject)
        await _drive(service, subject)
    except httpx.TransportError:
        assert await service.ended() == -9
        return accepted, True
    return accepted, False
