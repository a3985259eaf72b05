"""Index templates that match the target's name."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import held_at
from tests.upgrades.portrait import as_found, contents, made_anew


def put_template(es: Elastic, template: dict[str, Any]) -> None:
    es.put("/_index_template/wide", {"index_patterns": ["reindexed-*"], "template": template})


async def test_an_alias_of_a_template_is_off_before_a_document_is_in(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    put_template(es, {"aliases": {"everything": {}, "more": {"filter": {"term": {"n": 1}}}}})
    es.put("/plain", {"aliases": {"own": {}}})
    es.bulk("plain", [{"n": n} for n in range(3)])
    released = await held_at(relay, ("POST", "^/_reindex"), relayed, "plain")
    assert es.aliases("reindexed-v8-plain") == {}
    released.set()
    await relayed.completed("plain")
    assert es.aliases("plain").keys() == {"plain", "own"}


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ({"mappings": {"properties": {"intruder": {"type": "keyword"}}}}, "intruder"),
        ({"mappings": {"dynamic": "strict"}}, "dynamic"),
        ({"settings": {"index.mapping.total_fields.limit": 5}}, "total_fields.limit"),
        ({"settings": {"index.max_result_window": 99}}, "max_result_window"),
    ],
)
async def test_what_a_template_adds_fails_by_name(
    service: Service, es: Elastic, template: dict[str, Any], named: str
) -> None:
    put_template(es, template)
    es.put("/plain")
    es.bulk("plain", [{"n": n} for n in range(3)])
    before, documents = as_found(es, "plain"), contents(es, "plain")
    await service.post_batch("plain")
    operation = await service.ended("plain")
    assert operation["status"] == 2
    assert named in operation["errorMessage"]
    assert "template" in operation["errorMessage"]
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before
    assert contents(es, "plain") == documents


async def test_settings_of_a_template_that_the_source_has_too_are_no_obstacle(
    service: Service, es: Elastic
) -> None:
    put_template(
        es,
        {
            "settings": {"refresh_interval": "3s", "number_of_replicas": 3, "hidden": True},
            "mappings": {"properties": {"n": {"type": "long"}}},
        },
    )
    es.put("/plain", {"settings": {"refresh_interval": "9s"}})
    es.bulk("plain", [{"n": n} for n in range(3)])
    make = made_anew(es, "plain")
    await service.post_batch("plain")
    await service.completed("plain")
    assert made_anew(es, "plain") == make


async def test_pipelines_of_a_template_neither_run_nor_stay(service: Service, es: Elastic) -> None:
    mark = {"set": {"field": "marked", "value": True}}
    es.put("/_ingest/pipeline/marking", {"processors": [mark]})
    pipelines = {"index.default_pipeline": "marking", "index.final_pipeline": "marking"}
    put_template(es, {"settings": pipelines})
    es.put("/plain")
    es.bulk("plain", [{"n": n} for n in range(3)])
    documents, make = contents(es, "plain"), made_anew(es, "plain")
    await service.post_batch("plain")
    await service.completed("plain")
    assert contents(es, "plain") == documents
    assert made_anew(es, "plain") == make


async def test_a_template_of_data_streams_is_told_with_the_two_ways_out(
    service: Service, es: Elastic
) -> None:
    streams: dict[str, Any] = {
        "index_patterns": ["reindexed-*"],
        "data_stream": {},
        "priority": 500,
    }
    es.put("/_index_template/streams", streams)
    es.put("/plain")
    es.bulk("plain", [{"n": n} for n in range(3)])
    before = as_found(es, "plain")
    await service.post_batch("plain")
    operation = await service.ended("plain")
    assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
    assert "[streams]" in operation["errorMessage"]
    assert "Narrow the pattern of that template" in operation["errorMessage"]
    assert "newIndexName" in operation["errorMessage"]
    assert as_found(es, "plain") == before
    await service.post_options({"index": "plain", "newIndexName": "plain-anew"})
    await service.completed("plain")
    assert es.aliases("plain-anew").keys() == {"plain"}
