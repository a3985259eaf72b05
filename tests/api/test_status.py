"""The status answer: the operation, the warnings, our privileges, and what the index is."""

from __future__ import annotations

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import BASE, Service
from tests.upgrades.midway import held_at

STANDING = [
    {"warningType": "makeIndexReadonly", "flow": "readonly"},
    {"warningType": "replaceIndexWithAlias", "flow": "reindex"},
]


async def test_an_index_without_an_operation_has_its_warnings_and_meta(
    service: Service, es: Elastic
) -> None:
    es.put("/plain", {"aliases": {"a1": {}}})
    answer = await service.client.get(f"{BASE}/plain")
    assert answer.status_code == 200
    assert answer.json() == {
        "warnings": STANDING,
        "hasRequiredPrivileges": True,
        "meta": {
            "indexName": "plain",
            "reindexName": "reindexed-v8-plain",
            "aliases": ["a1"],
            "isReadonly": False,
            "isFrozen": False,
            "isInDataStream": False,
            "isFollowerIndex": False,
        },
    }


async def test_a_running_operation_is_shown_with_the_warnings_of_its_index(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    released = await held_at(relay, ("PUT", "/plain/_block/write"), relayed, "plain")
    answer = (await relayed.client.get(f"{BASE}/plain")).json()
    assert (answer["reindexOp"]["status"], answer["warnings"]) == (0, STANDING)
    released.set()
    await relayed.completed("plain")


async def test_after_the_swap_the_warnings_are_absent_for_the_name_is_an_alias(
    service: Service, es: Elastic
) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    await service.post_batch("plain")
    await service.completed("plain")
    answer = (await service.client.get(f"{BASE}/plain")).json()
    assert answer["reindexOp"]["status"] == 1
    assert "warnings" not in answer
    assert answer["meta"]["aliases"] == []


async def test_a_read_only_index_says_so(service: Service, es: Elastic) -> None:
    es.put("/plain")
    es.put("/plain/_block/write")
    answer = (await service.client.get(f"{BASE}/plain")).json()
    assert answer["meta"]["isReadonly"] is True


async def test_an_unknown_index_without_an_operation_is_not_found(service: Service) -> None:
    answer = await service.client.get(f"{BASE}/gone")
    assert answer.status_code == 404
    assert answer.json()["message"] == "Index gone does not exist in this cluster."


async def test_the_operation_is_shown_while_the_cluster_is_away(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    relay.refuse()
    answer = await relayed.client.get(f"{BASE}/plain")
    assert answer.status_code == 200
    assert answer.json()["reindexOp"]["status"] == 1


async def test_mixed_majors_are_answered_with_426(relayed: Service, relay: Relay) -> None:
    nodes = {"nodes": {"a": {"version": "8.19.8"}, "b": {"version": "9.4.3"}}}
    relay.answer("GET", "/_nodes", 200, nodes, times=None)
    for answer in (
        await relayed.client.get(f"{BASE}/plain"),
        await relayed.client.post(f"{BASE}/plain"),
        await relayed.client.post(f"{BASE}/batch", json={"indexNames": ["plain"]}),
    ):
        assert answer.status_code == 426
        assert answer.json()["attributes"] == {"allNodesUpgraded": False}
        assert answer.json()["message"] == (
            "There are some nodes running a different version of Elasticsearch"
        )


async def test_without_security_the_privileges_are_taken_as_granted_and_not_asked_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    assert (await relayed.client.get(f"{BASE}/plain")).json()["hasRequiredPrivileges"] is True
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert not [seen for seen in relay.seen if "_has_privileges" in seen.path]
