"""Random posts, wishes, kills and faults against queue and machine, then every promise is checked.

A few fixed ones; `make storm STORM_EXAMPLES=100` plays others. There is no shrinking: the same
steps never meet the same moments again. What was done stands in the failure.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.domain.job import ENDED_STATES, Status
from testbed.relay import Relay
from tests.conditions import until
from tests.e2e.killable import cutting_relay, forked
from tests.e2e.kinds import KINDS, Subject
from tests.e2e.orders import Boundary, Orders
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.store.database import claims_astray

T = TypeVar("T")

STORM = os.environ.get("STORM_EXAMPLES")
EXAMPLES = int(STORM or 3)
STEPS = 25 if STORM else 15
DATABASE = os.environ.get("STORM_DATABASE", "sqlite")
"""`sqlite` or `postgres`."""
SETTLED_SECONDS = 120.0
MADE = ("plain", "plain", "aliased", "closed", "empty", "failing", "kept")
ENDS = (Status.COMPLETED, Status.CANCELLED)
"""How a good index may end; only the one that the new index refuses may fail."""
ANSWERS = {200, 400, 404, 409, 503}

_numbers = itertools.count(1)


class World:
    """One Elasticsearch, relay and service for all examples, driven from an event loop in a thread.

    The service is started again whenever it is found dead: that is all the help it gets.
    """

    def __init__(self, es: Elastic, database_url: str) -> None:
        self.es = es
        self.database_url = database_url
        self.orders = Orders()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.relay = self.do(self._open_relay())
        environment = {
            "ELASTICSEARCH_HOSTS": self.relay.url,
            "DATABASE_URL": database_url,
            "REINDEX_WINDOW_DOCUMENTS": "25",
            "REINDEX_SYNCHRONOUS_DOCUMENTS": "15",
            "REINDEX_LEASE_SECONDS": "2",
            **self.orders.environment,
        }
        self.service = self.do(self._make_service(environment))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SETTLED_SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """None where the service has died before it answered."""
        self.revive()
        try:
            answer = self.do(self.service.client.request(method, path, json=body))
        except httpx.TransportError:
            self.do(self.service.ended())
            return None
        assert answer.status_code in ANSWERS, f"{method} {path}: {answer.text}"
        return answer

    def newest(self, name: str) -> dict[str, Any] | None:
        """The newest operation of that index, asked until it is answered."""
        while (answer := self.ask("GET", f"/api/v1/operations?index={name}&order=desc")) is None:
            pass
        return next(iter(answer.json()["operations"]), None)

    def revive(self) -> None:
        if self.service.exit_code is not None:
            self.orders.give(None)
            self.do(self.service.start())

    def kill(self) -> None:
        self.service.kill()
        self.revive()

    def calm(self) -> None:
        """The end of all faults."""
        self.orders.give(None)
        self._loop.call_soon_threadsafe(self._without_rules)
        self.revive()

    def close(self) -> None:
        self.do(self.service.close())
        self.do(self.relay.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.orders.close()

    def on_relay(self, change: Callable[[Relay], object]) -> None:
        self._loop.call_soon_threadsafe(change, self.relay)

    def _without_rules(self) -> None:
        self.relay.clear()
        self.relay.accept()
        cutting_relay(self.relay)

    async def _open_relay(self) -> Relay:
        relay = await Relay(self.es.url).__aenter__()
        cutting_relay(relay)
        return relay

    async def _make_service(self, environment: dict[str, str]) -> ServiceProcess:
        service = ServiceProcess(environment, launch=forked)
        await service.start()
        return service


class Storm(RuleBasedStateMachine):
    indices: Bundle[Subject] = Bundle("indices")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.subjects: list[Subject] = []
        self.posted: set[str] = set()
        self.steps: list[str] = []
        self.is_away = False
        world.calm()

    @initialize(target=indices, kinds=st.lists(st.sampled_from(MADE), min_size=2, max_size=3))
    def begin(self, kinds: list[str]) -> MultipleResults[Subject]:
        subjects = [self._made(kind) for kind in kinds]
        self._post(subjects)
        return multiple(*subjects)

    @rule(target=indices, kind=st.sampled_from(MADE))
    def make(self, kind: str) -> Subject:
        return self._made(kind)

    def _made(self, kind: str) -> Subject:
        subject = Subject(self.world.es, KINDS[kind], f"storm-{next(_numbers)}")
        self.subjects.append(subject)
        self._note(f"make {subject.name} {kind}")
        return subject

    @rule(chosen=st.lists(indices, min_size=1, max_size=3))
    def post(self, chosen: list[Subject]) -> None:
        self._post(chosen)

    def _post(self, chosen: list[Subject]) -> None:
        wanted = [{"index": s.name, "keepOldIndex": s.kind.copy} for s in chosen]
        answer = self.world.ask("POST", "/api/v1/batches", {"indices": wanted})
        queued: list[str] = []
        if answer is not None and answer.status_code == 200:
            queued = [operation["indexName"] for operation in answer.json()["operations"]]
        self.posted |= set(queued)
        self._note(f"post {[s.name for s in chosen]} → {queued}")

    @rule(subject=indices, what=st.sampled_from(("cancel", "pause", "resume", "retry")))
    def wish(self, subject: Subject, what: str) -> None:
        operation = self.world.newest(subject.name)
        if operation is None:
            return
        answer = self.world.ask("POST", f"/api/v1/operations/{operation['id']}/{what}")
        self._note(f"{what} {subject.name} → {answer and answer.status_code}")

    @rule(subject=indices)
    def write(self, subject: Subject) -> None:
        """What is accepted must be there in the end, wherever the index is on its way."""
        key, document = f"late-{next(_numbers)}", {"n": next(_numbers)}
        if subject.kind is KINDS["failing"] or subject.kind.copy:
            return  # refused anyway; a kept copy does not have what comes later
        answer = self.world.es.request("PUT", f"/{subject.name}/_create/{key}", document)
        if answer.status_code == 201:
            subject.wrote(key, document)
        self._note(f"write {subject.name} → {answer.status_code}")

    @rule()
    def kill(self) -> None:
        self._note("kill")
        self.world.kill()

    @rule(
        what=st.sampled_from(("request", "request", "commit")),
        side=st.sampled_from(("before", "after")),
        number=st.integers(1, 25),
    )
    def kill_at(self, what: str, side: str, number: int) -> None:
        self._note(f"kill {side} {what} {number}")
        self.world.orders.give(Boundary(what, side, number))

    @rule(side=st.sampled_from(("before", "after")), number=st.integers(1, 25))
    def cut_at(self, side: str, number: int) -> None:
        self._note(f"cut {side} request {number}")
        self.world.orders.give(Boundary("request", side, number, how="cut"))

    @rule(status=st.sampled_from((429, 502, 503, 504)), times=st.integers(1, 4))
    def refuse(self, status: int, times: int) -> None:
        self._note(f"{status} for {times} requests")

        def refuse(relay: Relay) -> None:
            relay.clear()
            relay.answer("*", "", status, times=times)
            cutting_relay(relay)

        self.world.on_relay(refuse)

    @precondition(lambda self: not self.is_away)
    @rule()
    def away(self) -> None:
        self._note("Elasticsearch is away")
        self.is_away = True
        self.world.on_relay(Relay.refuse)

    @precondition(lambda self: self.is_away)
    @rule()
    def back(self) -> None:
        self._note("Elasticsearch is back")
        self.is_away = False
        self.world.on_relay(Relay.accept)

    @rule(requests=st.sampled_from((5, 20, 60)))
    def let_it_work(self, requests: int) -> None:
        """Until it has sent so many more requests, or does not get on."""
        self._note(f"{requests} requests")
        wanted = len(self.world.relay.seen) + requests
        until(
            lambda: len(self.world.relay.seen) >= wanted or not self._gets_on(),
            lambda: self.told(None, f"{requests} requests are sent"),
            SETTLED_SECONDS,
        )

    def _gets_on(self) -> bool:
        operations = [self.world.newest(subject.name) for subject in self.subjects]
        states = {operation["state"] for operation in operations if operation}
        return bool(states & {"running", "undoing"}) or (
            "waiting" in states and "holding" not in states
        )

    @invariant()
    def every_document_is_there_under_its_name(self) -> None:
        for subject in self.subjects:
            if subject.kind is KINDS["closed"]:
                continue
            self.world.es.post(f"/{subject.name}/_refresh")
            count = self._count(subject)
            assert count["_shards"]["failed"] == 0, self.told(subject, "shards failed")
            assert count["count"] == subject.size, self.told(subject, f"{count['count']} documents")

    @invariant()
    def every_claim_is_of_a_job_in_hand(self) -> None:
        astray = claims_astray(self.world.database_url)
        assert not astray, self.told(None, astray)

    def _count(self, subject: Subject) -> Any:
        """Asked again where it was on its way at the very swap: Elasticsearch answers 503 then, for
        the shard it was sent to is gone (seen on 8.19 with a bare `remove_index` and 3 clients)."""

        answers: list[httpx.Response] = []

        def answered() -> bool:
            answers.append(self.world.es.request("GET", f"/{subject.name}/_count"))
            return "no_shard_available_action_exception" not in answers[-1].text

        until(answered, lambda: self.told(subject, answers[-1].text))
        assert answers[-1].is_success, self.told(subject, answers[-1].text)
        return answers[-1].json()

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            for subject in self.subjects:
                subject.remove()

    def told(self, subject: Subject | None, what: object) -> str:
        name = subject.name if subject else "cluster"
        return "\n".join([f"{name}: {what}", *self.steps, self.world.service.log[-6000:]])

    def _note(self, step: str) -> None:
        self.steps.append(step)

    def _settle(self) -> None:
        """Nothing goes wrong any more, what is paused goes on: all must end well."""
        self.world.calm()
        for subject in self.subjects:
            until(
                lambda subject=subject: self._is_over(subject),
                lambda subject=subject: self.told(subject, self.world.newest(subject.name)),
                SETTLED_SECONDS,
            )
        expected = {".tasks"}
        for subject in self.subjects:
            operation = self.world.newest(subject.name)
            assert operation or subject.name not in self.posted, self.told(subject, "forgotten")
            status = Status[str(operation["state"]).upper()] if operation else Status.CANCELLED
            allowed = (*ENDS, Status.FAILED) if subject.kind is KINDS["failing"] else ENDS
            faults = subject.faults(status, allowed)
            assert not faults, self.told(subject, [*faults, operation])
            expected |= subject.indices()
        assert self.world.es.indices() <= expected, self.told(None, self.world.es.indices())
        self.every_claim_is_of_a_job_in_hand()

    def _is_over(self, subject: Subject) -> bool:
        operation = self.world.newest(subject.name)
        if operation is None or operation["state"] in ENDED_STATES:
            return True
        steer = {"paused": "resume", "holding": "retry"}.get(operation["state"])
        if steer:
            self.world.ask("POST", f"/api/v1/operations/{operation['id']}/{steer}")
        return False


@pytest.fixture
def world(es: Elastic, request: pytest.FixtureRequest) -> Generator[World]:
    world = World(es, request.getfixturevalue(f"{DATABASE}_url"))
    try:
        yield world
    finally:
        world.close()


@pytest.mark.timeout(0 if STORM else 300)
def test_whatever_happens_in_whatever_order_nothing_is_lost_and_all_ends(world: World) -> None:
    run_state_machine_as_test(
        lambda: Storm(world),  # pyright: ignore[reportArgumentType]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=not STORM,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
