"""What our user must be allowed to do: asked for at the POST, and looked at again later."""

from __future__ import annotations

import json

from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.service import BASE
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found, contents
from tests.upgrades.security.logins import TASKS, Login, all_on, failed, manage_on

SERVICE = "/api/reindex_service/reindex"


async def test_missing_privileges_are_refused_when_posted_and_the_asked_ones_suffice(
    login: Login, es: Elastic
) -> None:
    for name in ("granted", "denied", "half", "misnamed"):
        filled(es, name, 3, aliases={f"alias-of-{name}": {}})
    before = {name: as_found(es, name) for name in ("denied", "half", "misnamed")}
    exact = ["granted", "reindexed-v8-granted", "half", "misnamed", "reindexed-v8-misnamed"]
    aliases = ["alias-of-granted", "alias-of-half", "alias-of-denied"]
    login.may("exact", all_on(*exact), manage_on(".rq-*", *aliases), TASKS)
    async with login.as_user("exact") as service:
        denied = await service.client.post(f"{BASE}/denied")
        assert denied.status_code == 403
        assert denied.json() == {
            "statusCode": 403,
            "error": "Forbidden",
            "message": 'You do not have adequate privileges to reindex "denied".',
            "attributes": {
                "missingPrivileges": [
                    "read, manage on denied",
                    "read, manage, write on reindexed-v8-denied",
                ]
            },
        }
        body = {"indexName": "half", "newIndexName": "half-2"}
        half = await service.client.post(SERVICE, json=body)
        text = 'You do not have adequate privileges to reindex "half" to "half-2".'
        assert (half.status_code, half.json()["message"]) == (403, text)
        assert half.json()["attributes"] == {"missingPrivileges": ["read, manage, write on half-2"]}
        misnamed = await service.client.post(f"{BASE}/misnamed")
        assert misnamed.json()["attributes"] == {
            "missingPrivileges": ["manage on alias-of-misnamed"]
        }
        body = {"indices": [{"index": "misnamed"}, {"index": "granted"}], "trial": True}
        plan = (await service.client.post("/api/v1/plan", json=body)).json()["indices"]
        assert [(one["missingPrivileges"], one["trial"]) for one in plan] == [
            (["manage on alias-of-misnamed"], None),
            ([], {"outcome": "fits", "text": ""}),
        ]

        answer = await service.post_batch("denied", "granted", "half")
        assert [o["indexName"] for o in answer["enqueued"]] == ["granted"]
        assert answer["errors"] == [
            {
                "indexName": name,
                "message": f'You do not have adequate privileges to reindex "{name}".',
            }
            for name in ("denied", "half")
        ]
        await service.completed("granted")
    assert es.aliases("reindexed-v8-granted").keys() == {"granted", "alias-of-granted"}
    assert {name: as_found(es, name) for name in before} == before


async def test_to_keep_an_index_the_kept_copy_must_be_ours_to_make_and_to_roll_back_to(
    login: Login, es: Elastic
) -> None:
    filled(es, "precious", aliases={"jewel": {}})
    documents = contents(es, "precious")
    exact = ["precious", "reindexed-v8-precious"]
    login.may("keeper", all_on(*exact), manage_on(".rq-*", "jewel"), TASKS)
    async with login.as_user("keeper") as service:
        body = {"indices": [{"index": "precious"}], "keepOldIndex": True}
        answer = await service.client.post("/api/v1/batches", json=body)
        assert [r["code"] for r in answer.json()["refused"]] == ["missing_privileges"]
        login.may("keeper", all_on(*exact, "kept-precious-*"), manage_on(".rq-*", "jewel"), TASKS)
        answer = await service.client.post("/api/v1/batches", json=body)
        (operation,) = answer.json()["operations"]
        await service.completed("precious")
        assert (await service.roll_back(operation["id"])).status_code == 200
        assert await service.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
        assert contents(es, "precious") == documents
        await service.post_batch("precious")
        await service.completed("precious")
    assert es.aliases("reindexed-v8-precious").keys() == {"precious", "jewel"}
    assert contents(es, "precious") == documents


async def test_the_status_says_whether_our_user_has_the_privileges(
    login: Login, es: Elastic
) -> None:
    es.put("/seen")
    es.put("/unseen")
    login.may("watcher", all_on("seen", "reindexed-v8-seen"), manage_on(".rq-*"), TASKS)
    async with login.as_user("watcher") as service:
        seen = (await service.client.get(f"{BASE}/seen")).json()
        unseen = (await service.client.get(f"{BASE}/unseen")).json()
    assert seen["hasRequiredPrivileges"] is True
    assert len(seen["warnings"]) == 2
    assert unseen["hasRequiredPrivileges"] is False
    assert unseen["warnings"] == []


async def test_what_is_needed_is_asked_for_and_no_more_also_for_the_aliases(
    login: Login, relay: Relay, es: Elastic
) -> None:
    es.put("/reindexed-v7-anindex", {"aliases": {"al": {}}})
    login.may("asker", all_on("*", allow_restricted_indices=True))
    async with login.as_user("asker") as service:
        await service.post_batch("reindexed-v7-anindex")
        await service.completed("reindexed-v7-anindex")
    bodies = [json.loads(s.body) for s in relay.seen if "_has_privileges" in s.path]
    asked = {
        "cluster": ["monitor", "cancel_task", "cluster:admin/reindex/rethrottle"],
        "index": [
            {"names": ["reindexed-v7-anindex"], "privileges": ["read", "manage"]},
            {"names": ["reindexed-v8-anindex"], "privileges": ["read", "manage", "write"]},
            {"names": ["anindex", ".rq-*", "al"], "privileges": ["manage"]},
        ],
    }
    assert bodies[0] == asked  # at the POST
    assert bodies[1] == asked  # at the head of the queue


async def test_a_user_who_may_not_even_look_is_answered_with_elasticsearchs_403(
    login: Login, es: Elastic
) -> None:
    es.put("/guarded")
    login.may("nobody", cluster=())
    async with login.as_user("nobody") as service:
        for answer in (
            await service.client.post(f"{BASE}/guarded"),
            await service.client.post(f"{BASE}/batch", json={"indexNames": ["guarded"]}),
            await service.client.get(f"{BASE}/guarded"),
        ):
            check_envelope(answer, 403, "is unauthorized for user [nobody]")
        assert await service.queue() == []


async def test_privileges_taken_away_after_the_post_fail_it_before_the_write_block(
    login: Login, relay: Relay, es: Elastic
) -> None:
    names = ["ahead", "robbed", "behind"]
    for name in names:
        filled(es, name, 3)
    before = as_found(es, "robbed")
    login.may("rich", all_on("*"), TASKS)
    released = relay.hold("PUT", "^/ahead/_block/write")
    async with login.as_user("rich") as service:
        assert (await service.post_batch(*names))["errors"] == []
        await relay.wait_for("PUT", "^/ahead/_block/write")
        left = [name for other in ("ahead", "behind") for name in (other, f"reindexed-v8-{other}")]
        login.may("rich", all_on(*left), manage_on("reindexed-v8-robbed", ".rq-*"), TASKS)
        released.set()
        await service.completed("ahead", "behind")
        await failed(
            service, "robbed", "read, manage on robbed", "read, write on reindexed-v8-robbed"
        )
    assert as_found(es, "robbed") == before
    assert "reindexed-v8-robbed" not in es.indices()
    es.put("/robbed/_doc/new", {"n": 1})


async def test_a_user_who_lost_every_right_while_it_waited_fails_it_and_frees_the_queue(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "stripped", 3)
    before = as_found(es, "stripped")
    login.may("stripped", all_on("*"), TASKS)
    async with login.as_user("stripped") as service:
        looks = "^/_cluster/state/metadata/stripped,.*mappings(&|$)"  # the POST asks for less
        released = await held_at(relay, ("GET", looks), service, "stripped")
        login.may("stripped", cluster=())
        released.set()
        await failed(service, "stripped", "is unauthorized for user [stripped]", ",manage,")
        assert await service.queue() == []
    assert as_found(es, "stripped") == before


async def test_rights_lost_in_mid_copy_leave_the_source_as_found_once_they_are_back(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "midway")
    before = as_found(es, "midway")
    login.may("fickle", all_on("*"), TASKS)
    released = relay.hold("GET", POLL)
    async with login.as_user("fickle") as service:
        await service.post_batch("midway")
        await relay.wait_for("GET", POLL)
        login.may("fickle", cluster=())
        released.set()
        await service.holds("midway", "403 security_exception")
        assert (await service.operation("midway"))["status"] == 0
        login.may("fickle", all_on("*"), TASKS)
        operation = await service.ended("midway")
    assert operation["status"] == 2
    assert "security_exception" in operation["errorMessage"]
    assert as_found(es, "midway") == before
    assert "reindexed-v8-midway" not in es.indices()
