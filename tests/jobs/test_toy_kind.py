"""A kind of job that the service does not know goes through queue and machine like the others.

It is registered as a composition root registers one, and nothing else is done for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.domain import clock
from app.domain.job import Goal, Job, Lane, Requested, Status
from app.jobs import bookkeeping, transitions
from app.jobs.phases import Done, phase_of
from app.store.jobs import lets_go
from tests.elasticsearch import Elastic
from tests.jobs.toy import WAIT, Midway, Playroom, Toy, ToyKind, playroom
from tests.store.database import execute

PHASES = ("find", "seed", "grow", "pick", "tidy")
ONCE = {f"{phase} called": 1 for phase in PHASES} | {f"{phase} acted": 1 for phase in PHASES[1:]}


@pytest.fixture
def kind(tmp_path: Path) -> ToyKind:
    return ToyKind(tmp_path / "ledger")


@pytest.fixture
async def room(elasticsearch_url: str, sqlite_url: str, kind: ToyKind) -> AsyncGenerator[Playroom]:
    async with playroom(elasticsearch_url, sqlite_url, kind) as opened:
        yield opened


def made(es: Elastic, *names: str, waits_for: str = "") -> None:
    """Indices, with the alias that keeps a toy from the phase `waits_for`."""
    aliases: dict[str, dict[str, str]] = {f"{WAIT}{waits_for}": {}} if waits_for else {}
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}, "aliases": aliases})


def goes_on(es: Elastic, name: str, phase: str) -> None:
    es.delete(f"/{name}/_alias/{WAIT}{phase}")


def marks(es: Elastic, name: str) -> set[str]:
    return {alias for alias in es.aliases(name) if not alias.startswith(WAIT)}


def claims(database_url: str) -> set[tuple[str, str]]:
    """Which index is claimed by which job."""
    rows = execute(database_url, "SELECT index_name, job_id FROM claim")
    return {(index, job) for index, job in rows}


def holds(job: Job) -> bool:
    return job.hold_reason is not None


def failing_at(phase: str) -> Midway:
    async def midway(reached: str) -> None:
        if reached == phase:
            raise RuntimeError("the toy broke")

    return midway


class Stop:
    """Stops a phase midway, for as long as its task lives."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self.reached = asyncio.Event()

    async def __call__(self, phase: str) -> None:
        if phase == self._phase:
            self.reached.set()
            await asyncio.Event().wait()


async def test_a_toy_is_played_with_to_its_end_each_phase_once(
    room: Playroom, es: Elastic, sqlite_url: str
) -> None:
    made(es, "ball")
    toy = await room.ended(await room.post("ball"))
    assert (toy.status, toy.position, toy.past_return) == (Status.COMPLETED, "tidy", True)
    assert (toy.marks, toy.index_uuid) == (["picked"], es.settings("ball")["index.uuid"])
    assert marks(es, "ball") == {"picked"}
    assert room.kind.counts == ONCE
    assert claims(sqlite_url) == set()
    events = await room.events(toy.id)
    assert (events[0], events[1], events[-1]) == ("queued", "started", "completed")
    assert events.count("marker put on") == 3


async def test_its_own_fields_are_kept_in_the_record(
    room: Playroom, es: Elastic, sqlite_url: str
) -> None:
    made(es, "ball", waits_for="pick")
    toy = await room.becomes(await room.post("ball"), "holds", holds)
    assert toy.marks == ["grown", "seeded"]
    ((record,),) = execute(sqlite_url, "SELECT record FROM job")
    assert Toy.model_fields.keys() - Job.model_fields.keys() == {"index_uuid", "marks"}
    assert all(name in record for name in ("index_uuid", "marks"))


async def test_a_toy_that_holds_says_why_and_goes_on_by_itself(
    room: Playroom, es: Elastic, sqlite_url: str
) -> None:
    made(es, "ball", waits_for="grow")
    posted = await room.post("ball")
    toy = await room.becomes(posted, "holds", holds)
    assert toy.hold_reason == "ball has the alias wait-for-grow"
    assert toy.status is Status.IN_PROGRESS
    assert claims(sqlite_url) == {("ball", posted)}
    goes_on(es, "ball", "grow")
    toy = await room.ended(posted)
    assert (toy.status, toy.hold_reason) == (Status.COMPLETED, None)
    events = await room.events(posted)
    assert (events.count("holds"), events.count("goes on")) == (1, 1)


async def test_a_paused_toy_keeps_its_claim_and_goes_on_where_it_was(
    room: Playroom, es: Elastic, sqlite_url: str
) -> None:
    made(es, "ball", waits_for="pick")
    posted = await room.post("ball")
    await room.becomes(posted, "holds", holds)
    await room.ask(posted, Requested.PAUSE)
    toy = await room.becomes(posted, "is paused", lambda job: job.status is Status.PAUSED)
    assert (toy.position, toy.goal, toy.suspended) == ("grow", Goal.FINISH, True)
    assert marks(es, "ball") == {"seeded", "grown", "resting"}
    assert claims(sqlite_url) == {("ball", posted)}
    goes_on(es, "ball", "pick")
    await room.resume(posted)
    assert (await room.ended(posted)).status is Status.COMPLETED
    assert marks(es, "ball") == {"picked"}
    counts = room.kind.counts
    assert [counts[f"{phase} called"] for phase in ("find", "seed", "grow", "rest")] == [1] * 4


async def test_a_toy_that_is_cancelled_in_the_middle_is_undone(
    room: Playroom, es: Elastic, sqlite_url: str
) -> None:
    made(es, "ball", waits_for="pick")
    posted = await room.post("ball")
    await room.becomes(posted, "holds", holds)
    assert marks(es, "ball") == {"seeded", "grown"}
    await room.ask(posted, Requested.CANCEL)
    toy = await room.ended(posted)
    assert (toy.status, toy.position_back, toy.marks) == (Status.CANCELLED, "clear", [])
    assert marks(es, "ball") == set()
    assert claims(sqlite_url) == set()


@pytest.mark.parametrize("goal", [Goal.PARK, Goal.GIVE_BACK])
def test_a_kind_need_not_say_that_its_claims_are_freed_where_a_toy_is_put_aside(
    kind: ToyKind, goal: Goal
) -> None:
    fields = {"id": "0" * 32, "cluster_id": "default", "caller": "child", "index_name": "ball"}
    times = dict.fromkeys(("created_at", "updated_at", "writes_blocked_since"), clock.now())
    toy = Toy.model_validate({**fields, **times, "queued_at": 1, "started_at": 2, "goal": goal})
    done = transitions.ended(kind, toy, phase_of(kind, toy), Done())
    assert done.changes.get("writes_blocked_since", toy.writes_blocked_since) is None
    assert lets_go(done.changes)


async def test_a_cancel_past_its_point_of_no_return_changes_nothing(
    room: Playroom, es: Elastic
) -> None:
    made(es, "ball", waits_for="tidy")
    posted = await room.post("ball")
    assert (await room.becomes(posted, "holds", holds)).past_return
    await room.ask(posted, Requested.CANCEL)
    await room.becomes(posted, "answers", lambda job: job.requested is Requested.NONE)
    goes_on(es, "ball", "tidy")
    assert (await room.ended(posted)).status is Status.COMPLETED
    assert marks(es, "ball") == {"picked"}


async def test_a_phase_that_crashes_is_tried_three_times_then_undone(
    elasticsearch_url: str, sqlite_url: str, es: Elastic, tmp_path: Path
) -> None:
    made(es, "ball", "doll")
    kind = ToyKind(tmp_path / "ledger", failing_at("grow"))
    async with playroom(elasticsearch_url, sqlite_url, kind) as room:
        toy = await room.ended(await room.post("ball"))
        assert (toy.status, toy.error_code) == (Status.FAILED, "unexpected")
        assert "RuntimeError: the toy broke" in (toy.error_message or "")
        assert toy.failure is not None
        assert (toy.failure.step, toy.failure.remedy) == ("grow", "Play with another index.")
        assert marks(es, "ball") == set()
        assert claims(sqlite_url) == set()
        assert (kind.counts["grow called"], kind.counts["grow acted"]) == (3, 1)
        assert room.worker.report.alive


async def test_an_index_that_is_not_there_is_a_failure_in_the_words_of_the_kind(
    room: Playroom,
) -> None:
    toy = await room.ended(await room.post("nothing"))
    assert (toy.status, toy.error_code) == (Status.FAILED, "index_not_found")
    assert toy.error_message == "There is no index nothing to play with."
    assert toy.failure is not None
    assert toy.failure.step == "find"


async def test_another_worker_goes_on_from_the_saved_position(
    elasticsearch_url: str, sqlite_url: str, es: Elastic, kind: ToyKind, tmp_path: Path
) -> None:
    """The first is ended when `grow` has acted and has not been saved, nor has `seed`, which is
    joined to it: both are called again, find their effects, and do nothing twice."""
    made(es, "ball")
    stop = Stop("grow")
    ended = ToyKind(tmp_path / "ledger", stop)
    async with playroom(elasticsearch_url, sqlite_url, ended) as room:
        posted = await room.post("ball")
        await stop.reached.wait()
        await room.kill()
        assert (await room.shown(posted)).position == "find"
    assert marks(es, "ball") == {"seeded", "grown"}
    assert claims(sqlite_url) == {("ball", posted)}
    async with playroom(elasticsearch_url, sqlite_url, kind) as room:
        assert (await room.ended(posted)).status is Status.COMPLETED
    assert kind.counts == {**ONCE, "seed called": 2, "grow called": 2}
    assert marks(es, "ball") == {"picked"}
    assert claims(sqlite_url) == set()


async def test_a_toy_whose_index_is_in_use_names_who_uses_it_and_goes_on_after(
    room: Playroom, es: Elastic, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "IN_USE_SECONDS", 0.1)
    made(es, "ball", waits_for="grow")
    made(es, "doll")
    first = await room.post("ball", lane=Lane.BESIDE, uses=["shelf"])
    await room.becomes(first, "holds", holds)
    second = await room.post("doll", uses=["shelf"])
    toy = await room.becomes(second, "holds", holds)
    assert toy.hold_reason == f"shelf is in use by the operation {first} on ball"
    assert (toy.position, marks(es, "doll")) == ("", set())
    assert claims(sqlite_url) == {("ball", first), ("shelf", first)}
    goes_on(es, "ball", "grow")
    for posted in (first, second):
        assert (await room.ended(posted)).status is Status.COMPLETED
    assert claims(sqlite_url) == set()


async def test_a_toy_whose_index_is_in_use_lets_others_of_its_lane_go_first(
    room: Playroom, es: Elastic, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "IN_USE_SECONDS", 0.1)
    monkeypatch.setattr(transitions, "PARKED_SECONDS", 1.0)
    made(es, "ball", waits_for="grow")
    made(es, "doll", "kite")
    first = await room.post("ball", lane=Lane.BESIDE, uses=["shelf"])
    await room.becomes(first, "holds", holds)
    second, third = await room.post("doll", uses=["shelf"]), await room.post("kite")
    assert (await room.ended(third)).status is Status.COMPLETED
    toy = await room.shown(second)
    assert toy.status is Status.IN_PROGRESS
    assert "parked" in await room.events(second)
    assert claims(sqlite_url) == {("ball", first), ("shelf", first)}
    goes_on(es, "ball", "grow")
    assert (await room.ended(second)).status is Status.COMPLETED
