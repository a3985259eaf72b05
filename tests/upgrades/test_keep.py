"""The kept copy: whole, hidden, blocked for good, made before the swap and gone in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from app.domain.job import Lane
from app.domain.names import IndexName
from app.upgrades import small
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.store.database import execute
from tests.upgrades.midway import filled, take_primary
from tests.upgrades.portrait import as_found, contents

CLONE = "/_clone/"
PRODUCT = {"x-elastic-product": "Elasticsearch"}


async def kept(service: Service, index: str, **options: Any) -> dict[str, Any]:
    """The completed operation of an index that was posted to be kept."""
    posted = await service.post_options({"index": index, **options}, keepOldIndex=True)
    (operation,) = posted["operations"]
    assert operation["keptCopy"]["state"] == "planned"
    await service.completed(index)
    return await service.shown(operation["id"])


async def test_the_old_index_is_kept_whole_hidden_and_blocked(
    service: Service, es: Elastic
) -> None:
    settings = {"number_of_shards": 2, "number_of_replicas": 1, "refresh_interval": "7s"}
    filled(es, "old", 30, settings=settings, aliases={"also": {}})
    es.put(
        "/_index_template/all",
        {
            "index_patterns": ["kept-*"],
            "template": {"aliases": {"stray": {}}, "settings": {"refresh_interval": "1s"}},
        },
    )
    documents = contents(es, "old")
    operation = await kept(service, "old")
    copy = operation["keptCopy"]
    assert copy["index"] == f"kept-old-{operation['id'][:8]}"
    assert (copy["state"], operation["state"]) == ("kept", "completed")
    assert es.indices() == {"reindexed-v8-old", copy["index"]}
    assert contents(es, copy["index"]) == contents(es, "old") == documents
    assert es.aliases(copy["index"]) == {}
    assert es.aliases("reindexed-v8-old").keys() == {"old", "also"}
    found = es.settings(copy["index"])
    assert found["index.blocks.write"] == found["index.verified_read_only"] == "true"
    assert (found["index.number_of_replicas"], found["index.refresh_interval"]) == ("0", "7s")
    assert es.get("/*/_count")["count"] == 30
    assert es.get("/kept*/_count")["count"] == 0
    whats = [event["what"] for event in operation["events"]]
    assert (
        whats.index("old index cloned")
        < whats.index("old index kept")
        < (whats.index("index removed"))
    )


async def test_by_default_nothing_is_kept_and_a_setting_changes_that(
    service: Service, es: Elastic, elasticsearch_url: str, sqlite_url: str
) -> None:
    filled(es, "plain")
    await service.post_batch("plain")
    await service.completed("plain")
    assert es.indices() == {"reindexed-v8-plain"}
    settings = {"reindex_keep_old_index": True}
    async with running_service(elasticsearch_url, f"{sqlite_url}-2", **settings) as other:
        filled(es, ".secret")
        await other.post_batch(".secret")
        await other.completed(".secret")
        filled(es, "not")
        await other.post_options({"index": "not", "keepOldIndex": False})
        await other.completed("not")
    (copy,) = es.indices() - {"reindexed-v8-plain", ".reindexed-v8-secret", "reindexed-v8-not"}
    assert copy.startswith(".kept-secret-")


async def test_a_name_that_would_be_too_long_is_cut(service: Service, es: Elastic) -> None:
    name = "ü" * 127
    filled(es, name)
    operation = await kept(service, name, newIndexName="new")
    copy = operation["keptCopy"]["index"]
    assert len(copy.encode()) in (254, 255)
    assert len(contents(es, copy)) == 20


async def test_an_index_that_has_the_copys_name_stops_the_swap_and_stays(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    before = as_found(es, "old")
    released = relay.hold("POST", CLONE)
    (operation,) = (await relayed.post_options({"index": "old"}, keepOldIndex=True))["operations"]
    await relay.wait_for("POST", CLONE)
    copy = operation["keptCopy"]["index"]
    filled(es, copy, 1)
    released.set()
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    assert copy in ended["errorMessage"]
    assert es.indices() == {"old", copy}
    assert as_found(es, "old") == before
    assert len(contents(es, copy)) == 1


async def test_a_cancelled_operation_leaves_no_copy(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old")
    before = as_found(es, "old")
    released = relay.hold("PUT", "^/kept-.*_block")
    await relayed.post_options({"index": "old"}, keepOldIndex=True)
    await relay.wait_for("PUT", "^/kept-.*_block")
    assert len(es.indices()) == 3
    assert await relayed.cancel("old") == 200
    released.set()
    assert (await relayed.ended("old"))["status"] == 4
    assert es.indices() == {"old"}
    assert as_found(es, "old") == before
    removals = [s.body for s in relay.seen if b"remove_index" in s.body]
    assert len(removals) == 2
    assert all(b"must_exist" in body for body in removals)


async def test_one_that_makes_room_gives_up_its_copy_for_the_source_takes_writes_again(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old")
    filled(es, "next")
    busy = {"error": {"type": "snapshot_in_progress_exception", "reason": "busy"}, "status": 400}
    settings = {"reindex_hold_policy": "skip", "reindex_hold_skip_seconds": 0.0}

    async def in_the_way(request: Seen) -> web.Response:
        """Nothing removes the old index; what makes room for others may be removed."""
        if b'"remove_index":{"index":"old"}' in request.body:
            return web.json_response(busy, status=400, headers=PRODUCT)
        return await relay.forward(request)

    relay.when("POST", "^/_aliases", in_the_way, times=None)
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_options({"index": "old", "keepOldIndex": True}, {"index": "next"})
        await service.completed("next")
        copies = {index for index in es.indices() if index.startswith("kept-")}
        assert copies == set()
        assert es.blocks("old") == {}
        assert es.aliases("reindexed-v8-old") == {}  # no late swap removes what takes writes
        es.put("/old/_doc/late?refresh=true", {"n": -1})
        relay.clear()
        operation = await service.parts.reading.operation("old")
        await service.client.post(f"/api/v1/operations/{operation.id}/retry")
        await service.completed("old")
        shown = await service.shown(operation.id)
    whats = [event["what"] for event in shown["events"]]
    assert whats.count("old index cloned") == whats.count("old index kept") == 2
    assert whats.index("old index kept") < whats.index("parked")
    assert len(contents(es, shown["keptCopy"]["index"])) == len(contents(es, "old")) == 21


async def test_a_lost_answer_and_a_lost_copy_are_looked_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """The answer to the clone is cut; the clone is found, blocked, and removed by somebody; so it
    is made again before the swap."""
    filled(es, "old")
    relay.cut_after("POST", CLONE)

    async def lose(request: Seen) -> web.Response:
        answer = await relay.forward(request)
        es.delete(f"/{request.path.split('/')[1]}")
        return answer

    relay.when("PUT", "^/kept-.*_block", lose)
    (operation,) = (await relayed.post_options({"index": "old"}, keepOldIndex=True))["operations"]
    await relayed.completed("old")
    assert es.indices() == {"reindexed-v8-old", operation["keptCopy"]["index"]}
    assert len(contents(es, operation["keptCopy"]["index"])) == 20
    clones = [s for s in relay.seen if CLONE in s.path]
    assert len(clones) == 2


async def test_a_copy_that_is_not_whole_is_not_swapped_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """Somebody removes a document from it before it is counted."""
    filled(es, "old")
    before = as_found(es, "old")

    async def spoil(request: Seen) -> web.Response:
        answer = await relay.forward(request)
        copy = request.path.partition(CLONE)[2].partition("?")[0]
        es.put(f"/{copy}/_settings", {"index.blocks.write": None})
        es.delete(f"/{copy}/_doc/7?refresh=true")
        return answer

    relay.when("POST", CLONE, spoil)
    await relayed.post_options({"index": "old"}, keepOldIndex=True)
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    assert "19 documents" in ended["errorMessage"]
    assert es.indices() == {"old"}
    assert as_found(es, "old") == before


async def test_its_time_over_it_goes_guarded_by_the_new_index(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old")
    filled(es, "next")
    async with running_service(relay.url, sqlite_url, reindex_keep_days=0) as service:
        posted = await service.post_options(
            {"index": "old", "keepOldIndex": True}, {"index": "next"}
        )
        await service.completed("old", "next")
        (operation, _) = posted["operations"]

        async def gone() -> bool:
            return operation["keptCopy"]["index"] not in es.indices()

        await eventually(gone, "the kept copy is removed")
        shown = await expired(service, operation["id"])
        assert shown["keptCopy"]["state"] == "removed"
        assert shown["state"] == "completed"
        assert es.indices() == {"reindexed-v8-old", "reindexed-v8-next"}
        assert es.aliases("old").keys() == {"old"}
        assert (await service.roll_back(operation["id"])).status_code == 409
    (removal,) = [s.body for s in relay.seen if b"remove_index" in s.body and b'"kept-' in s.body]
    assert b'"must_exist":true' in removal.replace(b" ", b"")
    assert not [s for s in relay.seen if s.method == "DELETE"]


@pytest.mark.wide
async def test_a_connection_that_is_cut_at_its_removal_does_not_put_it_off_by_a_day(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old")
    cut: list[Seen] = []

    async def cut_twice(request: Seen) -> web.Response | None:
        if b"remove_index" not in request.body or b'"kept-' not in request.body or len(cut) > 1:
            return await relay.forward(request)
        cut.append(request)
        return None

    relay.when("POST", "^/_aliases", cut_twice, None)
    async with running_service(relay.url, sqlite_url, reindex_keep_days=0) as service:
        (operation,) = (await service.post_options({"index": "old", "keepOldIndex": True}))[
            "operations"
        ]

        async def gone() -> bool:
            return (await service.shown(operation["id"]))["keptCopy"]["state"] == "removed"

        await eventually(gone, "the kept copy is removed", 100)
        whats = [event["what"] for event in (await service.shown(operation["id"]))["events"]]
        assert "kept copy stays" not in whats
    assert len(cut) == 2


async def expired(service: Service, operation_id: str) -> dict[str, Any]:
    """The operation once it is known that its copy is gone, or stays."""

    async def said() -> bool:
        events = (await service.shown(operation_id))["events"]
        return bool({"kept copy gone", "kept copy stays"} & {event["what"] for event in events})

    await eventually(said, "the end of the kept copy is known")
    return await service.shown(operation_id)


def rename(es: Elastic) -> None:
    es.put("/other")
    actions = [
        {"remove": {"index": "reindexed-v8-old", "alias": "old"}},
        {"add": {"index": "other", "alias": "old"}},
    ]
    es.post("/_aliases", {"actions": actions})


def make_again(es: Elastic) -> None:
    es.delete("/reindexed-v8-old")
    filled(es, "reindexed-v8-old", 1, aliases={"old": {}})


async def test_a_look_at_it_that_is_refused_does_not_keep_the_queue_from_working(
    relayed: Service, relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """The service's user may have lost its rights on the copy since."""
    filled(es, "old")
    filled(es, "next")
    operation = await kept(relayed, "old")
    copy = operation["keptCopy"]["index"]
    error = {"type": "security_exception", "reason": "action is unauthorized"}
    place = ("GET", f"^/_cluster/state/metadata/[^?]*{copy}")
    relay.answer(*place, 403, {"error": error, "status": 403}, times=None)
    execute(sqlite_url, "UPDATE job SET kept_until = '2020-01-01 00:00:00'")
    await relayed.post_batch("next")
    await relayed.completed("next")
    await relay.wait_for(*place)
    assert copy in es.indices()
    assert (await relayed.client.get("/readyz")).status_code == 200


async def test_it_stays_for_as_long_as_another_job_uses_it(
    service: Service, es: Elastic, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "EXPIRY_REST", 0.2)
    filled(es, "old")
    operation = await kept(service, "old")
    copy = operation["keptCopy"]["index"]
    reader = await service.parts.store.jobs.enqueue("reads", Lane.BESIDE, IndexName(copy), "test")
    claim = "INSERT INTO claim VALUES ('default', :copy, :job, false)"
    execute(sqlite_url, claim, copy=copy, job=reader)
    execute(sqlite_url, "UPDATE job SET kept_until = '2020-01-01 00:00:00' WHERE kept IS NOT NULL")
    await service.post_batch("rings the bell")
    reason = f"{copy} is in use by the operation {reader} on {copy}"

    async def waits() -> bool:
        found = execute(sqlite_url, "SELECT hold_reason FROM job WHERE kind = 'expiry'")
        return found == [(reason,)]

    await eventually(waits, "the expiry waits for the reader")
    assert copy in es.indices()

    filled(es, "another")
    another = await kept(service, "another")
    over = "UPDATE job SET kept_until = '2020-01-02 00:00:00' WHERE index_name = 'another'"
    execute(sqlite_url, over)
    await service.post_batch("rings again")
    assert (await expired(service, another["id"]))["keptCopy"]["state"] == "removed"
    assert copy in es.indices()
    execute(sqlite_url, "DELETE FROM claim")
    shown = await expired(service, operation["id"])
    assert shown["keptCopy"]["state"] == "removed"
    assert copy not in es.indices()


def lock(es: Elastic) -> None:
    es.put("/reindexed-v8-old/_settings", {"index.blocks.read_only": True})


def lose(es: Elastic) -> None:
    take_primary(es, "reindexed-v8-old")


@pytest.mark.parametrize("harm", [rename, make_again, lock, lose])
async def test_it_stays_where_it_may_be_the_only_copy(
    service: Service, es: Elastic, sqlite_url: str, harm: Callable[[Elastic], None]
) -> None:
    filled(es, "old")
    documents = contents(es, "old")
    operation = await kept(service, "old")
    copy = operation["keptCopy"]["index"]
    harm(es)
    execute(sqlite_url, "UPDATE job SET kept_until = '2020-01-01 00:00:00'")
    await service.post_batch("wakes the worker")
    shown = await expired(service, operation["id"])
    (event,) = [event for event in shown["events"] if event["what"] == "kept copy stays"]
    assert "removed by hand" in event["text"]
    assert shown["keptCopy"]["state"] == "kept"
    assert shown["keptCopy"]["until"] > operation["endedAt"]
    assert contents(es, copy) == documents
