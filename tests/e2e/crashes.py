"""One operation, or one batch, with the service killed on the way and started again."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.killable import forked
from tests.e2e.kinds import KINDS, Kind, Subject
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE

STUCK_SECONDS = 90.0
"""An operation that has not ended so long after the restart counts as stuck."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Boundary:
    """Where the process dies: `before` or `after` the `number`-th `request` or `commit`.

    `only`: of the requests that contain this pattern.
    """

    what: str
    side: str
    number: int
    only: str = ""

    @property
    def order(self) -> dict[str, str]:
        moment = f"{self.what}:{self.side}:{self.number}"
        return {"REINDEX_TEST_KILL": moment, "REINDEX_TEST_ONLY": self.only}

    def __str__(self) -> str:
        return f"{self.side} {self.what} {self.number}{f' of {self.only}' if self.only else ''}"


@dataclass(frozen=True)
class Ending:
    """What became of one crash. `died`: the boundary was reached at all."""

    boundary: object
    died: bool
    stuck: bool
    faults: Sequence[str]

    @property
    def good(self) -> bool:
        return not self.stuck and not self.faults


class Crashes:
    """Crashes of a service before one Elasticsearch and one database, which are used again."""

    def __init__(self, es: Elastic, database_url: str) -> None:
        self._es = es
        self._environment = {
            "ELASTICSEARCH_HOSTS": es.url,
            "DATABASE_URL": database_url,
            "REINDEX_LEASE_SECONDS": "1",
            "REINDEX_CLUSTER_ID": f"crashes-{next(_numbers)}",
        }

    async def count(self, kind: Kind) -> Counter[str]:
        """How many requests and commits one unharmed operation of that kind makes."""
        subject = self._subject(kind)
        service = self._service(kind)
        counted = service.folder / "counted"
        try:
            await service.start(REINDEX_TEST_COUNTED=str(counted))
            ended = await _drive(service, subject)
            assert not (faults := subject.faults(ended)), faults
            return Counter(line.split()[0] for line in counted.read_text().splitlines())
        finally:
            await service.close()
            subject.remove()

    async def at(self, kind: Kind, boundary: Boundary) -> Ending:
        """One operation with a crash at that boundary."""
        subject = self._subject(kind)
        service = self._service(kind)
        try:
            await service.start(**boundary.order)
            accepted, died = await _until_death(service, subject)
            service.kill()
            await service.start()
            faults = await _lost(service, [subject] if accepted else [])
            status = await _drive(service, subject)
            return Ending(boundary, died, stuck=False, faults=faults or subject.faults(status))
        except (TimeoutError, AssertionError, httpx.HTTPError) as error:
            return self._aborted(boundary, service, error)
        finally:
            await service.close()
            subject.remove()

    async def in_a_batch(self, seed: int, kills: int, size: int = 10) -> Ending:
        """A batch with the service killed `kills` times, each time at a random moment."""
        moments = random.Random(seed)
        kinds = [KINDS[name] for name in ("plain", "aliased", "closed", "empty", "failing")]
        subjects = [self._subject(moments.choice(kinds)) for _ in range(size)]
        service = self._service(KINDS["plain"])
        died = 0
        try:
            await service.start()
            await service.api.post_batch(*[subject.name for subject in subjects])
            while died < kills and await service.api.queue():
                await asyncio.sleep(moments.uniform(0, 0.8))
                service.kill()
                died += 1
                await service.start()
            faults = await _lost(service, subjects)
            statuses = [await _drive(service, subject) for subject in subjects]
            for subject, status in zip(subjects, statuses, strict=True):
                faults += [f"{subject.name}: {fault}" for fault in subject.faults(status)]
            return Ending(f"seed {seed}, {died} kills", died > 0, stuck=False, faults=faults)
        except (TimeoutError, AssertionError, httpx.HTTPError) as error:
            return self._aborted(f"seed {seed}, {died} kills", service, error)
        finally:
            await service.close()
            for subject in subjects:
                subject.remove()

    def _aborted(self, boundary: object, service: ServiceProcess, error: Exception) -> Ending:
        """A stuck operation is left behind: the next one is of another cluster's queue."""
        self._environment["REINDEX_CLUSTER_ID"] = f"crashes-{next(_numbers)}"
        stuck = isinstance(error, TimeoutError)
        return Ending(boundary, True, stuck, [repr(error), service.log[-3000:]])

    def _subject(self, kind: Kind) -> Subject:
        return Subject(self._es, kind, f"crash-{next(_numbers)}")

    def _service(self, kind: Kind) -> ServiceProcess:
        return ServiceProcess({**self._environment, **kind.settings}, launch=forked)


def boundaries(counts: Counter[str]) -> list[Boundary]:
    """Every boundary of an operation that makes so many requests and commits."""
    return [
        Boundary(what, side, number)
        for what in ("request", "commit")
        for number in range(1, counts[what] + 1)
        for side in ("before", "after")
    ]


async def _known(service: ServiceProcess, name: str) -> dict[str, Any] | None:
    answer = await service.client.get(f"{BASE}/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json().get("reindexOp")


async def _lost(service: ServiceProcess, accepted: Sequence[Subject]) -> list[str]:
    """Operations that were accepted before the crash and are not known after it."""
    names = [subject.name for subject in accepted]
    return [
        f"{name} was accepted, then forgotten" for name in names if not await _known(service, name)
    ]


async def _drive(service: ServiceProcess, subject: Subject) -> int:
    """What a client does: posts what is not there yet, asks its kind's wish, waits for the end.

    Answers the status; raises `TimeoutError` where it does not end.
    """
    async with asyncio.timeout(STUCK_SECONDS):
        if await _known(service, subject.name) is None:
            await service.api.post_batch(subject.name)
        if subject.kind.ask:
            await subject.kind.ask(service, subject.name)
        operation = await service.api.ended(subject.name, seconds=2 * STUCK_SECONDS)
        return operation["status"]


async def _until_death(service: ServiceProcess, subject: Subject) -> tuple[bool, bool]:
    """Drives until the service dies: was the POST accepted, and did it die before the end?"""
    accepted = False
    try:
        await service.api.post_batch(subject.name)
        accepted = True
        await _drive(service, subject)
    except httpx.TransportError:
        assert await service.ended() == -9
        return accepted, True
    return accepted, False
