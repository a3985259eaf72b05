"""Documents that came under another `dynamic`, and limits that were lowered since."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.relay import Relay
from tests.e2e.typed_indices import make_other_dynamic
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import held_at
from tests.upgrades.portrait import as_found, contents, made_anew

LONG: dict[str, Any] = {"type": "long"}


async def comes_out_the_same(service: Service, es: Elastic, name: str) -> None:
    documents, make = contents(es, name), made_anew(es, name)
    await service.post_batch(name)
    await service.completed(name)
    assert contents(es, name) == documents
    assert made_anew(es, f"reindexed-v8-{name}") == make


async def test_fields_that_came_under_dynamic_false_stay_unmapped(
    service: Service, es: Elastic
) -> None:
    for name in make_other_dynamic(es):
        await comes_out_the_same(service, es, name)


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "object", "subobjects": False},
        {"type": "passthrough", "priority": 7},
        {"type": "nested", "include_in_parent": True},
        {"type": "object", "synthetic_source_keep": "arrays"},
    ],
)
async def test_an_inner_object_of_any_kind_gets_its_own_dynamic_back(
    service: Service, es: Elastic, kind: dict[str, Any]
) -> None:
    """Beside one that inherits it, one that is not looked into, and one that is called so."""
    properties: dict[str, Any] = {
        "odd": {**kind, "dynamic": "false", "properties": {"n": LONG}},
        "heir": {"properties": {"n": LONG}},
        "closed": {"type": "object", "enabled": False, "dynamic": "strict"},
        "flat": {"type": "flattened"},
        "dynamic": {"type": "keyword"},
    }
    mappings: dict[str, Any] = {
        "dynamic": "false",
        "date_detection": False,
        "_meta": {"dynamic": "strict"},
        "dynamic_templates": [{"t": {"match": "t*", "mapping": {"type": "keyword"}}}],
        "runtime": {"r": {"type": "keyword"}},
        "properties": properties,
    }
    es.put("/mixed", {"mappings": mappings})
    part: dict[str, Any] = {"n": 1, "t": 2, "2024-01-01": "2024-01-01"}
    everywhere = dict.fromkeys(("odd", "heir", "closed", "flat"), part)
    es.bulk("mixed", [{**everywhere, "t": "x", "dynamic": "d", "r": "r"}])
    now = {"dynamic": "strict", "properties": {"odd": {**kind, "dynamic": "runtime"}}}
    es.put("/mixed/_mapping", now)
    await comes_out_the_same(service, es, "mixed")
    assert es.request("POST", "/mixed/_doc", {"new": 1}).status_code == 400


async def test_an_unset_dynamic_stays_unset(service: Service, es: Elastic) -> None:
    inner = {"dynamic": "strict", "properties": {"n": LONG}}
    es.put("/unset", {"mappings": {"properties": {"strict": inner, "n": LONG}}})
    es.bulk("unset", [{"strict": {"n": 1}, "n": n, "new": "a"} for n in range(3)])
    assert "dynamic" not in as_found(es, "unset")["mappings"]["_doc"]
    await comes_out_the_same(service, es, "unset")


async def test_fields_that_a_copy_would_add_under_an_unset_dynamic_are_told_with_a_remedy(
    service: Service, es: Elastic
) -> None:
    """A runtime field that is taken away leaves documents whose field nothing lists."""
    es.put("/shadowed", {"mappings": {"runtime": {"r": {"type": "keyword"}}}})
    es.bulk("shadowed", [{"r": "x", "n": 1}])
    es.put("/shadowed/_mapping", {"runtime": {"r": None}})
    before = as_found(es, "shadowed")
    await service.post_batch("shadowed")
    operation = await service.ended("shadowed")
    assert operation["status"] == 2
    assert "mapping properties.r was added" in operation["errorMessage"]
    assert es.indices() == {"shadowed"}
    assert as_found(es, "shadowed") == before

    assert 'PUT shadowed/_mapping {"dynamic": true}' in operation["errorMessage"]
    es.put("/shadowed/_mapping", {"dynamic": True})
    await comes_out_the_same(service, es, "shadowed")


async def test_a_mapping_that_is_changed_while_it_is_given_back_is_noticed(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/strict", {"mappings": {"dynamic": "strict", "properties": {"n": LONG}}})
    es.bulk("strict", [{"n": 1}])
    released = await held_at(relay, ("PUT", "^/reindexed-v8-strict/_mapping"), relayed, "strict")
    assert as_found(es, "reindexed-v8-strict")["mappings"]["_doc"]["dynamic"] == "false"
    es.put("/reindexed-v8-strict/_mapping", {"properties": {"other": LONG}})
    released.set()
    operation = await relayed.ended("strict")
    assert operation["status"] == 2
    assert "mapping properties.other was added" in operation["errorMessage"]
    assert es.indices() == {"strict"}


LOWERED: dict[str, tuple[str, int, dict[str, Any], dict[str, Any]]] = {
    "fields": ("total_fields", 2, {"a": LONG, "b": LONG, "c": LONG}, {"a": 1}),
    "names": ("field_name_length", 15, {"x" * 20: LONG}, {"x" * 20: 1}),
    "nested": ("nested_fields", 0, {"a": {"type": "nested"}}, {"a": [{"n": 1}]}),
    "rows": ("nested_objects", 1, {"a": {"type": "nested"}}, {"a": [{"n": 1}, {"n": 2}]}),
}


@pytest.mark.parametrize("kind", LOWERED)
async def test_a_limit_that_was_lowered_since_refuses_nothing(
    service: Service, es: Elastic, kind: str
) -> None:
    limit, value, properties, document = LOWERED[kind]
    es.put("/limited", {"mappings": {"dynamic": "false", "properties": properties}})
    es.bulk("limited", [{**document, "unmapped": n} for n in range(3)])
    es.put("/limited/_mapping", {"dynamic": "true"})
    es.put("/limited/_settings", {f"index.mapping.{limit}.limit": value})
    await comes_out_the_same(service, es, "limited")
    assert es.settings("limited")[f"index.mapping.{limit}.limit"] == str(value)


async def test_a_depth_that_no_index_can_live_with_is_refused_before_the_block(
    service: Service, es: Elastic
) -> None:
    deep = {"a": {"properties": {"b": {"properties": {"c": LONG}}}}}
    es.put("/deep", {"mappings": {"properties": deep}})
    es.bulk("deep", [{"a": {"b": {"c": 1}}}])
    es.put("/deep/_settings", {"index.mapping.depth.limit": 1})
    before = as_found(es, "deep")
    await service.post_batch("deep")
    operation = await service.ended("deep")
    assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
    assert "Limit of mapping depth [1] has been exceeded" in operation["errorMessage"]
    assert as_found(es, "deep") == before
    raised = {"index.mapping.depth.limit": 3}  # so nothing could be given back to a copy
    assert es.request("PUT", "/deep/_settings", raised).status_code == 400


async def test_a_limit_that_fell_back_to_its_default_is_left_at_it(
    service: Service, es: Elastic
) -> None:
    settings = {"index.mapping.total_fields.limit": 1_100}
    es.put("/many", {"settings": settings, "mappings": {"dynamic": "strict"}})
    es.put("/many/_mapping", {"properties": {f"f{n}": LONG for n in range(1_050)}})
    es.bulk("many", [{"f7": n} for n in range(3)])
    es.put("/many/_settings", {"index.mapping.total_fields.limit": None})
    await comes_out_the_same(service, es, "many")
    assert "index.mapping.total_fields.limit" not in es.settings("many")


async def test_a_sample_finds_what_is_refused_before_writes_are_blocked(
    service: Service, es: Elastic
) -> None:
    """One document of many, since its value was left out when it came."""
    lenient = {"n": {"type": "integer", "ignore_malformed": True}}
    es.put("/lenient", {"mappings": {"properties": lenient}})
    es.bulk("lenient", [*[{"n": n} for n in range(1_500)], {"n": "not a number"}])
    strict = {"n": {"type": "integer", "ignore_malformed": False}}
    es.put("/lenient/_mapping", {"properties": strict})
    before = as_found(es, "lenient")

    planned = await service.client.post(
        "/api/v1/plan", json={"indices": [{"index": "lenient"}], "trial": True}
    )
    (trial,) = [one["trial"] for one in planned.json()["indices"]]
    assert trial["outcome"] == "refused"
    assert "failed to parse field [n]" in trial["text"]

    await service.post_batch("lenient")
    operation = await service.ended("lenient")
    assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
    assert "1500" not in operation["errorMessage"]
    newest = await service.newest_ended("lenient")
    failure = (await service.shown(newest["id"]))["failure"]
    assert [one["id"] for one in failure["documents"]] == ["1500"]
    assert "failed to parse field [n]" in operation["errorMessage"]
    assert "write block added" not in [event.what for event in await service.events("lenient")]
    assert es.indices() == {"lenient"}
    assert as_found(es, "lenient") == before


async def test_a_sample_refuses_nothing_that_the_copy_takes(service: Service, es: Elastic) -> None:
    """Children that need their routing, unmapped fields, values that are left out."""
    properties = {
        "kind": {"type": "join", "relations": {"question": "answer"}},
        "n": {"type": "integer", "ignore_malformed": True},
    }
    routing = {"_routing": {"required": True}}
    es.put("/kin", {"mappings": {"properties": properties, **routing}})
    child = {"kind": {"name": "answer", "parent": "0"}, "n": "x"}
    es.bulk("kin", [{"kind": "question"}, *[child] * 1_100], routing="0")
    await comes_out_the_same(service, es, "kin")
    es.put("/loose", {"mappings": {"properties": {"n": properties["n"]}, **routing}})
    es.bulk("loose", [{"n": "x", "new": n, "a.b": 1} for n in range(1_100)], routing="r")
    await comes_out_the_same(service, es, "loose")
