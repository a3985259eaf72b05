"""The way back after the swap: to the kept copy, in one guarded call, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import Removal, filled, give_primary, take_primary
from tests.upgrades.portrait import contents, made_anew

SNAPSHOT = {
    "error": {"type": "snapshot_in_progress_exception", "reason": "Cannot delete"},
    "status": 400,
}
NOT_AGAIN = {"index.routing_partition_size"}
"""A clone says it explicitly."""


async def kept(service: Service, index: str) -> dict[str, Any]:
    """The completed operation of an index whose old self is kept."""
    (operation,) = (await service.post_options({"index": index}, keepOldIndex=True))["operations"]
    await service.completed(index)
    return await service.shown(operation["id"])


async def rolled_back(service: Service, operation: dict[str, Any], **force: bool) -> str:
    """Rolls it back; the index that has the old name in the end."""
    answer = await service.roll_back(operation["id"], **force)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] in ("undoing", "rolledBack")
    assert await service.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    return operation["keptCopy"]["index"]


async def refused(service: Service, operation: dict[str, Any], **force: bool) -> str:
    """Asks for a rollback that must be refused at once; the message."""
    answer = await service.roll_back(operation["id"], **force)
    assert answer.status_code == 409, answer.text
    assert (await service.shown(operation["id"]))["state"] == operation["state"]
    return answer.json()["message"]


def make(es: Elastic, index: str) -> dict[str, Any]:
    """The index made anew in the end must be this."""
    return {k: v for k, v in made_anew(es, index).items() if k not in NOT_AGAIN}


async def test_the_old_index_has_its_name_and_every_alias_again_and_can_be_reindexed_again(
    service: Service, es: Elastic
) -> None:
    settings = {"number_of_shards": 2, "number_of_replicas": 1, "refresh_interval": "7s"}
    aliases = {"filtered": {"filter": {"term": {"n": 1}}}, "gone": {}}
    filled(es, "old", 30, settings=settings, aliases=aliases)
    documents, before = contents(es, "old"), make(es, "old")
    operation = await kept(service, "old")
    actions = [
        {"remove": {"index": "reindexed-v8-old", "alias": "gone"}},
        {"add": {"index": "reindexed-v8-old", "alias": "new", "routing": "7"}},
    ]
    es.post("/_aliases", {"actions": actions})

    copy = await rolled_back(service, operation)
    assert es.indices() == {copy}
    assert contents(es, "old") == documents
    assert make(es, copy) == before
    assert es.aliases(copy) == {
        "old": {"is_hidden": False},
        "filtered": {"filter": {"term": {"n": 1}}},
        "new": {"index_routing": "7", "search_routing": "7"},
    }
    es.put("/old/_doc/after", {"n": 1})
    shown = await service.shown(operation["id"])
    assert shown["keptCopy"] == {"index": copy, "state": "restored", "until": None}
    whats = [event["what"] for event in shown["events"]]
    assert whats.index("rollback requested") < whats.index("name given back")
    assert whats[-1] == "rolled back"
    assert (await service.operation("old"))["status"] == 4
    again = await service.client.post(f"/api/v1/operations/{operation['id']}/rollback")
    assert (again.status_code, again.json()["state"]) == (200, "rolledBack")

    documents = contents(es, "old")
    await service.post_batch("old")
    await service.completed("old")
    assert es.indices() == {"reindexed-v8-old"}
    assert contents(es, "old") == documents
    assert es.aliases("old").keys() == {"old", "filtered", "new"}
    assert make(es, "old") == before


async def test_twice_kept_twice_rolled_back(service: Service, es: Elastic) -> None:
    filled(es, ".old", aliases={"also": {}})
    documents = contents(es, ".old")
    first = await rolled_back(service, await kept(service, ".old"))
    second = await kept(service, ".old")
    assert es.indices() == {".reindexed-v8-old", second["keptCopy"]["index"]}
    third = await rolled_back(service, second)
    assert first != third
    assert es.indices() == {third}
    assert es.aliases(third).keys() == {".old", "also"}
    assert contents(es, ".old") == documents


async def test_a_closed_and_blocked_index_is_closed_and_blocked_again(
    service: Service, es: Elastic
) -> None:
    filled(es, "old")
    documents = contents(es, "old")
    es.post("/old/_close")
    es.put("/old/_settings", {"index.blocks.read_only": True, "index.blocks.read": True})
    copy = await rolled_back(service, await kept(service, "old"))
    assert es.indices() == {copy}
    assert es.is_closed(copy)
    assert es.blocks(copy).keys() == {"index.blocks.read_only", "index.blocks.read"}
    es.put(f"/{copy}/_settings", {"index.blocks.read_only": None, "index.blocks.read": None})
    es.post(f"/{copy}/_open?wait_for_active_shards=1")
    assert contents(es, "old") == documents


async def test_documents_written_since_are_lost_only_by_force(
    service: Service, es: Elastic
) -> None:
    filled(es, "old")
    documents = contents(es, "old")
    operation = await kept(service, "old")
    es.put("/old/_doc/new", {"n": 1})
    message = await refused(service, operation)
    assert "written to reindexed-v8-old since the swap" in message
    assert es.get("/old/_doc/new")["found"]
    await rolled_back(service, operation, force=True)
    assert contents(es, "old") == documents


async def test_what_cannot_be_rolled_back_is_refused_with_the_reason(
    service: Service, es: Elastic
) -> None:
    assert (await service.roll_back("none")).status_code == 404
    for name in ("plain", "renamed", "lost", "gone"):
        filled(es, name)
    (plain,) = (await service.post_options({"index": "plain"}))["operations"]
    await service.completed("plain")
    plain = await service.shown(plain["id"])
    assert plain["keptCopy"] is None
    assert "was not kept" in await refused(service, plain, force=True)

    renamed = await kept(service, "renamed")
    es.delete("/reindexed-v8-renamed/_alias/renamed")
    filled(es, "renamed", 1)
    assert "renamed is an index now" in await refused(service, renamed, force=True)

    lost = await kept(service, "lost")
    es.delete(f"/{lost['keptCopy']['index']}")
    assert "is not there any more" in await refused(service, lost, force=True)

    gone = await kept(service, "gone")
    es.delete("/reindexed-v8-gone")
    message = await refused(service, gone, force=True)
    assert "its aliases went with it" in message.lower()
    assert gone["keptCopy"]["index"] in es.indices()


async def test_nothing_is_written_unseen_between_the_last_look_and_the_call(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    documents = contents(es, "old")
    operation = await kept(relayed, "old")
    removal = Removal(relay)
    assert (await relayed.roll_back(operation["id"])).status_code == 200
    await removal.arrived.wait()
    late = es.request("PUT", "/old/_doc/late?timeout=1s", {"n": 1})
    assert late.status_code == 403
    removal.released.set()
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    assert contents(es, "old") == documents


async def test_a_write_just_before_the_last_look_gives_the_new_index_back(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    operation = await kept(relayed, "old")
    released = relay.hold("PUT", "^/reindexed-v8-old/_block")
    await relayed.roll_back(operation["id"])
    await relay.wait_for("PUT", "^/reindexed-v8-old/_block")
    es.put("/old/_doc/new", {"n": 1})
    released.set()
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"
    assert es.blocks("reindexed-v8-old") == {}
    assert es.aliases("reindexed-v8-old").keys() == {"old"}
    shown = await relayed.shown(operation["id"])
    (event,) = [event for event in shown["events"] if event["what"] == "rollback refused"]
    assert "written" in event["text"]
    assert shown["keptCopy"]["state"] == "kept"
    es.put("/old/_doc/newer", {"n": 1})
    await rolled_back(relayed, operation, force=True)


async def test_a_snapshot_is_waited_for_and_writes_go_on_meanwhile(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    operation = await kept(relayed, "old")
    relay.answer("POST", "^/_aliases", 400, SNAPSHOT, times=None)
    await relayed.roll_back(operation["id"], force=True)
    await relayed.holds("old", "snapshot_in_progress")

    async def writable() -> bool:
        return es.request("PUT", "/old/_doc/meanwhile?timeout=1s", {"n": 1}).is_success

    await eventually(writable, "the new index takes writes")
    relay.clear()
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    assert es.indices() == {operation["keptCopy"]["index"]}


async def test_a_call_that_is_late_finds_no_marker_once_writes_go_on(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    operation = await kept(relayed, "old")
    copy = operation["keptCopy"]["index"]
    late: list[bytes] = []

    async def stuck(request: Seen) -> web.Response | None:
        if b"remove_index" not in request.body:
            return await relay.forward(request)
        late.append(request.body)
        return None

    relay.when("POST", "^/_aliases", stuck, times=None)
    await relayed.roll_back(operation["id"])

    async def written() -> bool:
        path = "/old/_doc/meanwhile?timeout=1s"
        return bool(late) and es.request("PUT", path, {"n": 1}).is_success

    await eventually(written, "the new index takes writes")
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"
    assert es.aliases(copy) == {}
    assert es.request("POST", "/_aliases", json.loads(late[0])).status_code == 404
    assert es.get("/old/_doc/meanwhile")["found"]


async def test_a_kept_copy_that_is_not_whole_is_waited_for(relayed: Service, es: Elastic) -> None:
    filled(es, "old")
    operation = await kept(relayed, "old")
    copy = operation["keptCopy"]["index"]
    take_primary(es, copy)
    await relayed.roll_back(operation["id"])
    await relayed.holds("old", "shard copies active")
    assert es.request("PUT", "/old/_doc/1?timeout=1s", {"n": 1}).is_success
    give_primary(es)
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"


async def test_a_lost_answer_is_looked_for(relayed: Service, relay: Relay, es: Elastic) -> None:
    filled(es, "old", aliases={"also": {}})
    documents = contents(es, "old")
    operation = await kept(relayed, "old")
    relay.cut_after("POST", "^/_aliases", times=2)
    await relayed.roll_back(operation["id"])
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    assert es.aliases("old").keys() == {"old", "also"}
    assert contents(es, "old") == documents


@pytest.mark.parametrize("again", [True, False], ids=["made again", "gone"])
async def test_the_new_index_stays_if_the_kept_copy_goes_in_the_last_moment(
    relayed: Service, relay: Relay, es: Elastic, again: bool
) -> None:
    filled(es, "old")
    documents = contents(es, "old")
    operation = await kept(relayed, "old")
    copy, removal = operation["keptCopy"]["index"], Removal(relay)
    await relayed.roll_back(operation["id"])
    await removal.arrived.wait()
    es.delete(f"/{copy}")
    if again:
        filled(es, copy, 1)
    removal.released.set()
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"
    assert contents(es, "old") == documents
    assert es.aliases("old").keys() == {"old"}
    assert es.blocks("old") == {}


async def test_a_rollback_that_waits_can_be_cancelled(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    operation = await kept(relayed, "old")
    busy = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
    relay.answer("GET", "^/_cluster/health", 503, busy, times=None)
    es.put("/reindexed-v8-old/_settings", {"index.hidden": True})
    await relayed.roll_back(operation["id"])
    await relayed.holds("old", "full")
    in_use = await relayed.post_batch("old")
    assert "already in-progress" in in_use["errors"][0]["message"]
    cancelled = await relayed.client.post(f"/api/v1/operations/{operation['id']}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    assert await relayed.state_of(operation["id"], "completed", "rolledBack") == "completed"
    relay.clear()
    assert es.aliases("old").keys() == {"old"}

    async def idle() -> bool:
        return relayed.parts.worker.report.state == "idle"

    await eventually(idle, "the worker is idle")
    settings = es.get("/reindexed-v8-old/_settings?flat_settings=true")["reindexed-v8-old"]
    assert settings["settings"]["index.hidden"] == "true"  # nothing is finished a second time
    await rolled_back(relayed, operation)


async def test_a_rollback_waits_until_nobody_else_has_its_new_index_in_hand(
    service: Service, es: Elastic
) -> None:
    filled(es, "old")
    operation = await kept(service, "old")
    assert (await service.client.post("/api/v1/pace/stop")).status_code == 200
    await service.post_options({"index": "reindexed-v8-old", "newIndexName": "newer"})
    answer = await service.roll_back(operation["id"], force=True)
    assert answer.status_code == 400, answer.text
    assert "already in-progress for reindexed-v8-old" in answer.json()["message"]
    assert (await service.shown(operation["id"]))["state"] == "completed"
    assert await service.cancel("reindexed-v8-old") == 200
    await rolled_back(service, operation)
