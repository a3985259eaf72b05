"""A kind of job that lives in the tests alone: it marks an index with aliases, one a phase.

And a worker for it, put together as a composition root would do it, on a real database and before a
real Elasticsearch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from app.copying.governor import Governor
from app.copying.pace import Pacing
from app.domain.errors import Failure, ReindexQueueError
from app.domain.failure import FailureClass, FailureDetails
from app.domain.holds import HoldCause
from app.domain.job import Goal, Job, Lane, Requested
from app.domain.names import IndexName
from app.domain.operation import REWRITE, Changes, Operation
from app.domain.pace import Pace
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from app.jobs.bookkeeping import Bookkeeping
from app.jobs.machine import Machine
from app.jobs.ownership import ClusterOwnership
from app.jobs.phases import (
    Again,
    Done,
    Hold,
    Kind,
    Limits,
    Outcome,
    Phase,
    PhaseFunction,
    Route,
    Work,
)
from app.jobs.term import ClusterIdentity, WakeUps
from app.jobs.worker import Worker
from app.store.store import Store
from app.upgrades.rewrite import Rewrite
from tests.conditions import eventually

TOY = "toy"
MARKS = {"seeded", "grown", "picked", "resting"}
WAIT = "wait-for-"
"""With the name of a phase: it holds while the index has such an alias."""

Midway = Callable[[str], Awaitable[None]]
"""Called with the name of a phase when it has acted and has not looked again."""


class Toy(Job):
    kind: str = TOY
    # the record
    index_uuid: str | None = None
    """The index as it was found: no other one is marked."""
    marks: list[str] = Field(default_factory=list[str])
    """What it has put on that index and not taken off."""


class ToyChanges(Changes, total=False):
    index_uuid: str
    marks: list[str]


async def _goes_on(_phase: str) -> None:
    return None


class ToyKind:
    """`ledger`: a file with a line for every call of a phase and for every time that one acted."""

    name = TOY

    def __init__(self, ledger: Path, midway: Midway = _goes_on) -> None:
        self._ledger = ledger
        self._midway = midway
        seed = self._marking("seed", puts={"seeded"})
        pick = self._marking("pick", puts={"picked"})
        back = Route(Phase("clear", self._clear))
        self.routes: Mapping[Goal, Route[Toy]] = {
            Goal.FINISH: Route(
                Phase("find", self._find, joined=True),
                Phase("seed", seed, joined=True),
                Phase("grow", self._marking("grow", puts={"grown"})),
                Phase("pick", pick, past_return=True),
                Phase("tidy", self._marking("tidy", takes=MARKS - {"picked"})),
            ),
            Goal.FAIL: back,
            Goal.CANCEL: back,
            Goal.PARK: back,
            Goal.GIVE_BACK: back,
            Goal.PAUSE: Route(Phase("rest", self._marking("rest", puts={"resting"}))),
            Goal.ROLL_BACK: Route(),
        }

    @property
    def counts(self) -> Counter[str]:
        """Of the ledger's lines: `grow called`, `grow acted`."""
        return Counter(self._ledger.read_text().splitlines() if self._ledger.exists() else [])

    def _marking(
        self, phase: str, puts: Iterable[str] = (), takes: Iterable[str] = ()
    ) -> PhaseFunction[Toy]:
        return partial(self._mark, phase, frozenset(puts), frozenset(takes))

    def answered(self, _job: Toy, _error: ReindexQueueError, /) -> Done | None:
        return None

    async def _find(self, work: Work[Toy], cluster: Cluster) -> Outcome:
        """Notes which index it is, and claims it with those that were asked for besides."""
        self._write("find called")
        name = work.job.source_name
        found = (await cluster.indices.look(name)).get(name)
        if found is None:
            raise Failure("index_not_found", f"There is no index {name} to play with.")
        await self._midway("find")
        more = [IndexName(other) for other in (work.job.request or {}).get("uses", ())]
        return Done(ToyChanges(index_uuid=found.uuid), uses=[name, *more])

    async def _mark(
        self,
        phase: str,
        puts: frozenset[str],
        takes: frozenset[str],
        work: Work[Toy],
        cluster: Cluster,
    ) -> Outcome:
        self._write(f"{phase} called")
        there = await _aliases(work.job, cluster)
        if f"{WAIT}{phase}" in there:
            text = f"{work.job.source_name} has the alias {WAIT}{phase}"
            return Hold(HoldCause.CLUSTER_BUSY, text, retry_after=0.1)
        if not _is_marked(there, puts, takes):
            await _change(work.job.source_name, puts - there, takes & there, cluster)
            self._write(f"{phase} acted")
        await self._midway(phase)
        there = await _aliases(work.job, cluster)
        if not _is_marked(there, puts, takes):
            return Again(after=0.05)
        return Done(ToyChanges(marks=sorted(there & MARKS)))

    async def _clear(self, work: Work[Toy], cluster: Cluster) -> Outcome:
        """The way back. Of an index that was not found, or is another one now, nothing is taken."""
        found = (await cluster.indices.look(work.job.source_name)).get(work.job.source_name)
        if found is None or found.uuid != work.job.index_uuid:
            return Done(ToyChanges(marks=[]))
        return await self._mark("clear", frozenset(), frozenset(MARKS), work, cluster)

    def _write(self, line: str) -> None:
        with self._ledger.open("a") as file:
            file.write(f"{line}\n")

    def held_back(self, _work: Work[Toy], _phase: Phase[Toy], /) -> Outcome | None:
        return None

    def remedy(self, _hold: Hold, _job: Toy, /) -> None:
        return None

    def explained(self, _job: Toy, _error: Failure, phase: str, /) -> FailureDetails:
        remedy = "Play with another index."
        return FailureDetails(kind=FailureClass.INDEX, step=phase, remedy=remedy)

    def keeps_result(self, _job: Toy, _cause: HoldCause, /) -> bool:
        return False

    def parked_at(self, _job: Toy, /) -> Changes:
        return {"position": ""}

    def as_not_begun(self, _job: Toy, /) -> Changes:
        return {"position": ""}


async def _aliases(job: Toy, cluster: Cluster) -> frozenset[str]:
    """Those of its index. Raises `Failure` where that is gone, or another one has its name."""
    found = (await cluster.indices.look(job.source_name)).get(job.source_name)
    if found is None or found.uuid != job.index_uuid:
        raise Failure("index_changed", f"{job.source_name} is not the index that was found.")
    return frozenset(found.aliases)


async def _change(
    index: IndexName, puts: frozenset[str], takes: frozenset[str], cluster: Cluster
) -> None:
    for alias in sorted(puts):
        await cluster.aliases.put_marker(index, IndexName(alias))
    if takes:
        await cluster.aliases.take(index, sorted(takes))


def _is_marked(there: frozenset[str], puts: frozenset[str], takes: frozenset[str]) -> bool:
    return puts <= there and not takes & there


@dataclass(frozen=True)
class Playroom:
    """A store with toys in it, and the worker that plays with them."""

    store: Store
    wake_ups: WakeUps
    kind: ToyKind
    worker: Worker
    task: asyncio.Task[None]

    async def post(self, name: str, *, lane: Lane = Lane.QUEUE, uses: Sequence[str] = ()) -> str:
        """The id of a new toy on that index."""
        request = {"uses": list(uses)}
        toy = await self.store.jobs.enqueue(TOY, lane, IndexName(name), "child", request)
        self.wake_ups.wake()
        return toy

    async def ask(self, toy: str, action: Requested) -> None:
        """As the API does: the action is left, and the worker woken."""
        assert await self.store.requested_actions.leave([toy], action, "child") == {toy}
        self.wake_ups.wake()

    async def resume(self, toy: str) -> None:
        assert await self.store.requested_actions.resume([toy], "child") == {toy}
        self.wake_ups.wake()

    async def shown(self, toy: str) -> Toy:
        job = await self.store.jobs.load(toy)
        assert isinstance(job, Toy)
        return job

    async def becomes(self, toy: str, what: str, condition: Callable[[Toy], object]) -> Toy:
        """Waits until the toy is so, and answers it."""

        async def so() -> bool:
            return bool(condition(await self.shown(toy)))

        await eventually(so, f"the toy {what}")
        return await self.shown(toy)

    async def ended(self, toy: str) -> Toy:
        return await self.becomes(toy, "ends", lambda job: job.ended_at is not None)

    async def events(self, toy: str) -> list[str]:
        return [event.what for event in await self.store.events.of_operation(toy)]

    async def kill(self) -> None:
        """Ends the worker's task wherever it is, as a crash of the process would."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def playroom(
    elasticsearch_url: str, database_url: str, kind: ToyKind
) -> AsyncGenerator[Playroom]:
    """Opened beside rewrites; the worker is stopped at the end like at a SIGTERM."""
    models: dict[str, type[Job]] = {REWRITE: Operation, TOY: Toy}
    store = await Store.open(database_url, "default", 60.0, models=models)
    connection = Connection([elasticsearch_url], Credentials())
    worker = _worker(store, connection, kinds := [Rewrite(), kind], wake_ups := WakeUps())
    assert len({one.name for one in kinds}) == 2
    task = asyncio.create_task(worker.run())
    try:
        yield Playroom(store, wake_ups, kind, worker, task)
    finally:
        worker.stop()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close()
        await store.close()


def _worker(
    store: Store, connection: Connection, kinds: Sequence[Kind[Any]], wake_ups: WakeUps
) -> Worker:
    view = ClusterView.of(connection)
    cluster_identity = ClusterIdentity(store.cluster_identities, view, None)
    ownership = ClusterOwnership(store.ownerships, view)
    limits, who = Limits(), "worker"
    governor = Governor(Pacing(store, Pace(windows_in_flight=4), wake_ups), store.paces, who)
    machine = Machine(
        jobs=store.jobs,
        bookkeeping=Bookkeeping(jobs=store.jobs, lanes=store.lanes, limits=limits, who=who),
        kinds={kind.name: kind for kind in kinds},
        cluster=partial(Cluster.for_worker, connection),
        wake_ups=wake_ups,
        limits=limits,
        pacer=governor,
        cluster_identity=cluster_identity,
        ownership=ownership,
        history=_no_history,
    )
    return Worker(
        role=store.role,
        jobs=store.jobs,
        lanes=store.lanes,
        machine=machine,
        wake_ups=wake_ups,
        pacer=governor,
        cluster_identity=cluster_identity,
        ownership=ownership,
        who=who,
        most_beside=2,
        greet=_greet,
        when_idle=_nothing_is_due,
    )


async def _no_history() -> tuple[()]:
    return ()


async def _greet(_cluster: Cluster) -> None:
    return None


async def _nothing_is_due() -> None:
    return None
