"""Documents that are no JSON: copied, compared by their bytes, and told apart by them."""

from __future__ import annotations

import pytest

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import filled
from tests.upgrades.proving.odd_documents import BINARY, ODD, kept_sources, put_odd_ones
from tests.upgrades.test_proof import copied

ANYTHING = {"mappings": {"enabled": False}, "settings": {"number_of_replicas": 0}}
MANY = 1_200
"""More than are compared at once."""


@pytest.mark.parametrize("level", ["sample", "full"])
@pytest.mark.parametrize("more", [0, MANY])
async def test_odd_documents_are_copied_and_proven_by_their_bytes(
    service: Service, es: Elastic, level: str, more: int
) -> None:
    filled(es, "old", more or 1, **ANYTHING)
    put_odd_ones(es, "old")
    await service.post_options({"index": "old"}, proof=level)
    await service.completed("old")
    shown = await service.newest("old")
    assert shown is not None
    proof = (await service.shown(shown["id"]))["proof"]
    documents = (more or 1) + len(ODD) + len(BINARY)
    assert proof["documents"] == documents
    if level == "full" or not more:
        assert proof["compared"] == documents
    whats = {event.what for event in await service.events("old")}
    assert not whats & {"holds", "proof goes on one by one"}
    kept = kept_sources(es, "old")
    assert {name: kept[name] for name in ODD} == ODD
    assert kept["yaml"] == b'{"a":1}'


@pytest.mark.parametrize("more", [0, MANY])
async def test_an_odd_document_that_was_changed_in_its_comment_only_is_named(
    relayed: Service, relay: Relay, es: Elastic, more: int
) -> None:
    filled(es, "old", more or 1, **ANYTHING)
    put_odd_ones(es, "old")
    operation_id, released = await copied(relayed, relay, es, proof="full")
    same = "/reindexed-v8-old/_doc/comment?version=1&version_type=external_gte"
    es.put_as_it_is(same, ODD["comment"].replace(b"hi", b"ho"))
    released.set()
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    failure = (await relayed.shown(operation_id))["failure"]
    assert [(one["id"], one["reason"]) for one in failure["documents"]] == [("comment", "_source")]
    assert es.blocks("old") == {}
