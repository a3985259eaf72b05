"""`/api/v1/plan` and `/api/v1/indices`: what would be done, with nothing done."""

from __future__ import annotations

from typing import Any

from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, filled
from tests.upgrades.portrait import as_found

PATH = "/api/v1/plan"
GB = 1024**3


async def planned(service: Service, *names: str, **more: Any) -> dict[str, Any]:
    body = {"indices": [{"index": name} for name in names], **more}
    answer = await service.client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything(es: Elastic) -> Any:
    """All that a change would change."""
    state = es.get("/_cluster/state/metadata?flat_settings=true")["metadata"]
    return {key: state[key] for key in state if key != "cluster_coordination"}


async def test_a_plan_says_what_would_be_done_and_who_refers_to_it_and_does_nothing(
    service: Service, es: Elastic
) -> None:
    filled(
        es,
        "old",
        20,
        aliases={"logs": {"is_write_index": True}, "few": {"filter": {"term": {"n": 1}}}},
    )
    filled(es, "big", 50, settings={"number_of_shards": 2, "number_of_replicas": 0})
    filled(es, "off", 1, mappings={"_source": {"enabled": False}})
    filled(es, "sealed", 3)
    es.put("/sealed/_settings", {"index.blocks.metadata": True})
    es.put("/_ingest/pipeline/into", {"processors": [{"set": {"field": "_index", "value": "old"}}]})
    es.put("/_index_template/t", {"index_patterns": ["reindexed-v8-o*"], "priority": 900})
    before = everything(es)

    plan = await planned(service, "old", "big", "off", "gone", "bad*", "sealed", "old")

    assert everything(es) == before
    assert [(one["index"], one["kind"]) for one in plan["indices"]] == [
        ("old", "index"),
        ("old", "index"),
        ("big", "index"),
        ("off", "source_disabled"),
        ("gone", "nothing"),
        ("bad*", "nothing"),
        ("sealed", "index"),
    ]
    by_name = {one["index"]: one for one in reversed(plan["indices"])}
    old, big = by_name["old"], by_name["big"]
    assert old["why"] == "made by Elasticsearch 8; Elasticsearch 9 opens it as it is"
    assert (old["newIndexName"], old["blockers"]) == ("reindexed-v8-old", [])
    effects = {(ref["kind"], ref["name"]): ref["effect"] for ref in old["references"]}
    assert "writes stop for the whole copy" in effects["alias", "logs"]
    assert effects["alias", "few"] == "moves along with its filter"
    assert effects["template", "t"] == "applies to reindexed-v8-old"
    assert ("pipeline", "into") in effects
    assert (big["documents"], big["shards"], big["replicas"], big["windows"]) == (50, 2, 0, 2)
    assert big["references"] == []
    assert big["diskBytes"] >= big["primaryBytes"] > 0
    assert big["duration"] is big["writeBlock"] is big["trial"] is None
    assert [b["code"] for b in by_name["off"]["blockers"]] == ["source_disabled"]
    assert by_name["gone"]["blockers"][0]["code"] == "index_not_found"
    assert by_name["bad*"]["blockers"][0]["code"] == "invalid_index_name"
    assert by_name["sealed"]["documents"] is None
    assert by_name["sealed"]["blockers"] == []
    assert (plan["ready"], plan["blocked"], plan["documents"]) == (3, 4, 70)
    assert plan["duration"] is None
    assert plan["notLookedFor"] == ["enrichPolicy", "transform"]
    assert plan["disk"]["nodes"][0]["totalBytes"] > GB
    assert (plan["shards"]["peak"], plan["shards"]["shortage"]) == (2, None)
    queued = (await service.client.get("/api/v1/operations")).json()["operations"]
    assert queued == []


async def test_plan_and_post_say_the_same_of_every_index(service: Service, es: Elastic) -> None:
    es.put("/off", {"mappings": {"_source": {"excludes": ["x"]}}})
    filled(es, "taken")
    filled(es, "reindexed-v8-taken", 1)
    es.put("/two", {"settings": {"number_of_shards": 2}})
    options = {
        "indices": [
            {"index": "off"},
            {"index": "taken"},
            {"index": "two", "mode": "lookup"},
            {"index": "gone"},
        ]
    }
    plan = (await service.client.post(PATH, json=options)).json()
    posted = (await service.client.post("/api/v1/batches", json=options)).json()
    assert posted["operations"] == []
    said = [(one["index"], *one["blockers"][0].values()) for one in plan["indices"]]
    assert said == [tuple(one.values()) for one in posted["refused"]]


async def test_what_was_measured_is_what_is_expected_and_what_is_under_way_is_told(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name in ("first", "second", "third"):
        filled(es, name)
    await relayed.post_batch("first")
    await relayed.completed("first")
    released = relay.hold("GET", POLL)
    await relayed.post_batch("second")
    await relay.wait_for("GET", POLL, times=2)
    plan = await planned(relayed, "second", "third")
    released.set()
    second, third = plan["indices"]
    assert [b["code"] for b in second["blockers"]] == ["already_in_progress"]
    assert (plan["measured"], plan["ready"]) == (1, 1)
    assert 0 < third["writeBlock"]["lowSeconds"] <= third["writeBlock"]["highSeconds"]
    assert third["writeBlock"]["highSeconds"] <= third["duration"]["highSeconds"]
    assert plan["duration"] == third["duration"]
    await relayed.completed("second")


async def test_a_trial_makes_the_new_index_looks_at_it_and_leaves_nothing(
    service: Service, es: Elastic
) -> None:
    for name in ("fits", "differs", "off"):
        filled(es, name)
    filled(es, "sealed")
    es.put("/sealed/_settings", {"index.blocks.read_only": True})
    template: dict[str, Any] = {
        "index_patterns": ["reindexed-v8-differs"],
        "priority": 900,
        "template": {"aliases": {"a": {}}, "mappings": {"properties": {"added": {"type": "ip"}}}},
    }
    es.put("/_index_template/t", template)
    names = ("fits", "differs", "sealed")
    before = [as_found(es, name) for name in names]

    plan = await planned(service, *names, "gone", trial=True)

    assert [as_found(es, name) for name in names] == before
    assert es.indices() == {"fits", "differs", "off", "sealed"}
    fits, differs, sealed, gone = (one["trial"] for one in plan["indices"])
    assert fits == {"outcome": "fits", "text": ""}
    assert differs["outcome"] == "refused"
    assert "mapping properties.added was added" in differs["text"]
    assert sealed["outcome"] == "notTried"
    assert gone is None
    events = await service.parts.store.events.after(0)
    whats = [event.what for event in events if event.index_name == "reindexed-v8-fits"]
    assert whats == ["target created", "index removed"]


async def test_a_trial_that_is_cut_is_tidied_up(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """Nobody does it half: what was made is found by its stamp and removed with the next try."""
    filled(es, "old")
    before = as_found(es, "old")
    busy = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
    relay.answer("POST", "^/_aliases", 429, busy)
    plan = await planned(relayed, "old", trial=True)
    assert plan["indices"][0]["trial"]["outcome"] == "fits"
    assert es.indices() == {"old"}
    assert as_found(es, "old") == before


async def test_a_plan_is_for_named_indices_or_for_outdated_ones(service: Service) -> None:
    both = {"outdated": True, "indices": [{"index": "a"}]}
    bodies: list[tuple[dict[str, Any], str]] = [
        ({}, "either indices, or outdated true"),
        (both, "either indices, or outdated true"),
        ({"indices": []}, "indices"),
        ({"outdated": 1}, "outdated"),
    ]
    for body, said in bodies:
        check_envelope(await service.client.post(PATH, json=body), 400, said)


async def test_indices_are_listed_by_name_and_none_of_this_major_needs_anything(
    service: Service, es: Elastic
) -> None:
    for name in ("c", "a", "b"):
        filled(es, name, 2)
    es.put("/b/_settings", {"index.blocks.metadata": True})
    es.post("/c/_close")
    first = (await service.client.get("/api/v1/indices?limit=2")).json()
    assert [(one["index"], one["documents"]) for one in first["indices"]] == [("a", 2), ("b", None)]
    assert first["indices"][0]["nextMajor"] == "opens"
    assert first["counts"] == {"total": 3, "refused": 0, "blocked": 0, "readOnly": 0}
    after = {"limit": 2, "after": first["next"]}
    second = (await service.client.get("/api/v1/indices", params=after)).json()
    assert [(one["index"], one["closed"]) for one in second["indices"]] == [("c", True)]
    assert second["next"] is None
    outdated = (await service.client.get("/api/v1/indices?needs=reindex")).json()
    assert outdated["indices"] == []
    answer = await service.client.post(PATH, json={"outdated": True})
    assert answer.json()["indices"] == []
    wrong = await service.client.get("/api/v1/indices?needs=nothing")
    check_envelope(wrong, 400, "needs")


async def test_a_batch_shows_how_far_it_is_together(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name, documents in (("one", 20), ("two", 30), ("empty", 0)):
        filled(es, name, documents) if documents else es.put(f"/{name}")
    released = relay.hold("GET", POLL)
    posted = await relayed.post_options({"index": "one"}, {"index": "two"}, {"index": "empty"})
    await relay.wait_for("GET", POLL)
    path = f"/api/v1/batches/{posted['id']}"
    running = (await relayed.client.get(path)).json()
    assert running["progress"]["documentsTotal"] == 50
    assert running["progress"]["bytesTotal"] > 0
    assert (running["progress"]["fraction"], running["notCounted"]) == (0, 0)
    released.set()
    await relayed.completed("one", "two", "empty")

    async def over() -> bool:
        return (await relayed.client.get(path)).json()["counts"]["completed"] == 3

    await eventually(over, "the batch has ended")
    ended = (await relayed.client.get(path)).json()["progress"]
    assert (ended["documentsDone"], ended["fraction"], ended["etaSeconds"]) == (50, 1, None)
    assert ended["bytesDone"] == ended["bytesTotal"] > 0
    for name in ("one", "two", "empty"):
        assert (await relayed.operation(name))["reindexTaskPercComplete"] == 1
