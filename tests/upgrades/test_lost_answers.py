"""Every changing request of an operation lost on its way there, and its answer on the way back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from app.domain.job import ENDED_STATES
from testbed.relay import Action, Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import crawl, filled, hurry
from tests.upgrades.portrait import contents, made_anew

CHANGES = [
    "PUT /_cluster/settings",
    "POST /_create_from/plain/reindexed-v8-plain",
    "PUT /plain/_block/write",
    "POST /plain/_refresh",
    "POST /_reindex",
    "POST /plain/_refresh",
    "POST /reindexed-v8-plain/_refresh",
    "PUT /reindexed-v8-plain/_settings",
    "POST /reindexed-v8-plain/_flush",
    "POST /_aliases",
    "POST /_aliases",
    "PUT /reindexed-v8-plain/_settings",
    "POST /_bulk",
]
"""What one plain operation sends, in order, but for `TOGETHER`."""

READS = ("/_count", "/_search", "/_validate/query")
"""These are sent as POST, and change nothing."""

TOGETHER = slice(7, 10)
"""These are sent side by side."""


def change(request: Seen) -> str | None:
    """A changing request in the words of `CHANGES`; None for one that only reads."""
    path = request.path.partition("?")[0]
    if request.method == "GET" or path.endswith(READS):
        return None
    return f"{request.method} {path}"


def source(es: Elastic) -> list[Any]:
    """Makes the index, and answers how it looks."""
    filled(es, "plain", 30, aliases={"also": {"filter": {"range": {"n": {"gte": 10}}}}})
    return [contents(es, "plain"), made_anew(es, "plain"), es.aliases("plain")]


async def test_these_are_all_changing_requests_of_a_plain_operation(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    source(es)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    sent = [name for seen in relay.seen if (name := change(seen))]
    sent[TOGETHER] = sorted(sent[TOGETHER], key=CHANGES.index)
    assert sent == CHANGES


async def came_out_right(service: Service, es: Elastic, before: list[Any]) -> None:
    await service.completed("plain")
    documents, make, aliases = before
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == documents
    assert made_anew(es, "plain") == make
    assert es.aliases("plain") == {**aliases, "plain": {"is_hidden": False}}
    assert es.copy_tasks() == []


async def impatient(service: Service, name: str) -> None:
    """Has it try again at once whenever it waits, until it has ended."""

    async def over() -> bool:
        operation = await service.newest(name)
        if operation and operation["state"] == "holding":
            await service.client.post(f"/api/v1/operations/{operation['id']}/retry")
        return operation is None or operation["state"] in ENDED_STATES

    await eventually(over, f"{name} has ended", 90)


def faults(relay: Relay) -> dict[str, Action]:
    """What can become of a request between the service and Elasticsearch."""

    def answered(status: int, body: str = "", headers: dict[str, str] | None = None) -> Action:
        async def answer(_: Seen) -> web.Response:
            return web.Response(status=status, text=body, content_type="text/html", headers=headers)

        return answer

    async def cut(_: Seen) -> None:
        return None

    async def late(request: Seen) -> web.Response:
        await asyncio.sleep(0.1)
        return await relay.forward(request)

    async def given_up(request: Seen) -> web.Response:
        await relay.forward(request)
        return web.Response(status=504, text="<html>Gateway Time-out</html>")

    return {
        "cut": cut,
        "truncated": relay.forward_and_halve,
        "late": late,
        "a login page": answered(200, "<html>Please log in</html>"),
        "redirected": answered(307, headers={"Location": f"{relay.url}/elsewhere"}),
        "429": answered(429),
        "502": answered(502, "<html>Bad Gateway</html>"),
        "503": answered(503),
        "504 though done": given_up,
    }


@pytest.mark.parametrize(
    "fault",
    [
        "cut",
        "truncated",
        "late",
        "a login page",
        "redirected",
        "429",
        "502",
        "503",
        "504 though done",
    ],
)
async def test_every_change_meets_a_fault_once(
    relayed: Service, relay: Relay, es: Elastic, fault: str
) -> None:
    before = source(es)
    spoil, met = faults(relay)[fault], list[tuple[str, bytes]]()

    async def spoil_new_ones(request: Seen) -> web.Response | None:
        name = change(request)
        if name is None or (name, request.body) in met:
            return await relay.forward(request)
        met.append((name, request.body))
        return await spoil(request)

    relay.when("*", "", spoil_new_ones, None)
    await relayed.post_batch("plain")
    await impatient(relayed, "plain")
    await came_out_right(relayed, es, before)
    assert {name for name, _ in met} == set(CHANGES)
    assert len(met) == len(CHANGES) - 1  # the second `_refresh` of the source is not a new one
    assert not [seen for seen in relay.seen if "elsewhere" in seen.path]


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=lambda n: f"{n} {CHANGES[n]}")
async def test_a_change_whose_answer_is_lost_is_found_or_repeated(
    relayed: Service, relay: Relay, es: Elastic, number: int
) -> None:
    before = source(es)
    wanted, lost = CHANGES[number], list[str]()
    turn = CHANGES[: number + 1].count(wanted)

    async def lose_one_answer(request: Seen) -> web.Response | None:
        sent = [change(seen) for seen in relay.seen]
        answer = await relay.forward(request)
        if lost or change(request) != wanted or sent.count(wanted) != turn:
            return answer
        lost.append(wanted)
        return None

    relay.when("*", "", lose_one_answer, None)
    await relayed.post_batch("plain")
    await came_out_right(relayed, es, before)
    assert lost == [CHANGES[number]]


async def test_a_task_whose_start_was_not_answered_is_adopted(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    source(es)
    documents = contents(es, "plain")
    crawl(relay, answer=False)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", r"^/_tasks/[^?]")  # it polls, so it has found the task
        (task,) = es.copy_tasks()
        hurry(es)
        await service.completed("plain")
        assert (await service.operation("plain"))["reindexTaskId"] == f"{task['node']}:{task['id']}"
    assert [change(seen) for seen in relay.seen].count("POST /_reindex") == 1
    assert contents(es, "plain") == documents


@pytest.mark.parametrize("way", ["there", "back"])
async def test_a_copy_at_once_that_is_lost_is_repeated_and_writes_nothing_twice(
    relay: Relay, es: Elastic, sqlite_url: str, way: str
) -> None:
    before = source(es)
    cut = relay.cut_before if way == "there" else relay.cut_after
    cut("POST", "^/_reindex")
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("plain")
        await came_out_right(service, es, before)
        assert (await service.operation("plain"))["reindexTaskId"] is None
    assert [change(seen) for seen in relay.seen].count("POST /_reindex") == 2


async def test_the_answer_of_the_swap_is_lost_but_the_only_copy_stays(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """A swap repeated after it was applied is refused; the target must not be taken for debris."""
    source(es)
    documents = contents(es, "plain")
    swaps: list[Seen] = []

    async def lose_the_swap(request: Seen) -> web.Response | None:
        answer = await relay.forward(request)
        if b"remove_index" not in request.body:
            return answer
        swaps.append(request)
        return None

    relay.when("POST", "^/_aliases", lose_the_swap, None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert "turned back" not in [event.what for event in await relayed.events("plain")]
    (only,) = swaps
    removed = json.loads(only.body)["actions"][1]
    assert removed == {"remove_index": {"index": "plain"}}
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == documents
