"""Which kinds of index are refused, each with its own reason and what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.compatibility import Fate
from app.domain.errors import AlreadyReindexed, IndexNotFound, NotAnIndex
from app.domain.names import IndexName
from app.elastic.answers import IndexState, Looked, index_state
from app.upgrades.classifier import (
    Facts,
    mode_refusal,
    refusal,
    target_refusal,
    unnamed_refusal,
)
from app.upgrades.outdated import fate_of
from tests.elasticsearch import Elastic
from tests.service import Service


def state(name: str = "a", **more: Any) -> IndexState:
    settings = {"index.uuid": name, "index.number_of_shards": "1", **more.pop("settings", {})}
    known: dict[str, Any] = {"aliases": (), "mappings": {}, **more}
    return IndexState(name, name, closed=False, settings=settings, routing_shards=1, **known)


def refused(one: IndexState, streams: dict[str, list[str]] | None = None) -> str | None:
    fault = refusal(IndexName(one.name), Facts(Looked({one.name: one}), streams or {}, 8))
    return fault.code if fault else None


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (state(), None),
        (state(system=True), "system_index"),
        (state(settings={"index.xpack.ccr.following_index": "true"}), "ccr_follower"),
        (state(settings={"index.store.type": "snapshot"}), "searchable_snapshot"),
        (state(settings={"index.store.type": "fs"}), None),
        (state(settings={"index.frozen": "true"}), "frozen"),
        (state(mappings={"_source": {"enabled": False}}), "source_disabled"),
        (state(mappings={"_source": {"mode": "disabled"}}), "source_disabled"),
        (state(mappings={"_source": {"excludes": ["secret"]}}), "source_filtered"),
        (state(mappings={"_source": {"includes": ["a"]}}), "source_filtered"),
        (state(mappings={"_source": {"enabled": True}}), None),
    ],
)
def test_each_kind_has_its_own_word(one: IndexState, code: str | None) -> None:
    assert refused(one) == code


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        (".ml-anomalies-shared", (8, 19), "PUT .ml-anomalies-shared/_block/write"),
        (".enrich-users-1700000000000", (8, 19), "Execute the policy again"),
        (".kibana_7.17.0_001", (8, 19), "_migration/system_features"),
        (".siem-signals-default-000001", (8, 17), "from Elasticsearch 8.18 on"),
        (".internal.alerts-security.alerts-default-000001", (7, 17), "upgrade to that first"),
        (".siem-signals-default-000001", (8, 18), None),
        (".internal.alerts-security.alerts-default-000001", (9, 4), None),
        (".monitoring-es-7-2023.05.01", (8, 19), None),
        ("ilm-history-3-000001", (8, 19), None),
    ],
)
def test_an_index_of_the_stack_is_taken_only_where_its_owner_can_do_with_the_new_one(
    name: str, version: tuple[int, int], words: str | None
) -> None:
    one = state(name)
    facts = Facts(Looked({name: one}), {}, version[0], version=version)
    fault = refusal(IndexName(name), facts)
    assert (fault.code if fault else None) == (words and "elastic_owned")
    assert words is None or (fault and words in fault.message)
    unnamed = unnamed_refusal(IndexName(name))
    assert unnamed
    assert "only where it is posted by its name" in unnamed.message


def test_a_searchable_snapshot_needs_nothing_towards_9() -> None:
    one = state(settings={"index.store.type": "snapshot", "index.version.created": "7170099"})
    assert (fate_of(one, 8), fate_of(one, 7)) == (Fate.OPENS, Fate.OPENS)
    plain = state(settings={"index.version.created": "7170099"})
    assert fate_of(plain, 8) is Fate.REFUSES
    older = state(settings={"index.store.type": "snapshot", "index.version.created": "6080099"})
    assert fate_of(older, 7) is Fate.REFUSES
    fault = refusal(IndexName("a"), Facts(Looked({"a": one}), {}, 8))
    assert fault
    assert "There is nothing to do" in fault.message
    before = refusal(IndexName("a"), Facts(Looked({"a": older}), {}, 7))
    assert before
    assert "Restore the snapshot" in before.message


@pytest.mark.parametrize("name", [".siem-signals-default-000001", ".monitoring-es-7-2023.05.01"])
async def test_an_index_of_the_stack_that_is_named_is_reindexed(
    service: Service, es: Elastic, name: str
) -> None:
    es.put(f"/{name}", {"settings": {"index.hidden": True, "number_of_replicas": 0}})
    es.bulk(name, [{"n": n} for n in range(5)])
    await service.post_batch(name)
    await service.completed(name)
    assert es.indices() == {f".reindexed-v8-{name[1:]}"}


async def test_an_index_of_the_stack_is_listed_with_its_owner_and_refused_with_advice(
    service: Service, es: Elastic
) -> None:
    es.put("/.ml-anomalies-shared", {"settings": {"index.hidden": True}})
    listed = (await service.client.get("/api/v1/indices")).json()["indices"]
    owners = {one["index"]: one["ownedBy"] for one in listed}
    assert "machine learning" in owners[".ml-anomalies-shared"]
    (error,) = (await service.post_batch(".ml-anomalies-shared"))["errors"]
    assert "_block/write" in error["message"]


@pytest.mark.parametrize(
    "kind", ["_doc", "doc", "properties", "dynamic", "_source", "a.b", "größe"]
)
def test_a_mapping_counts_whatever_its_type_is_called(kind: str) -> None:
    """The cluster state has it under its type, also in what 7.x has left to 8.x and 9.x."""
    entry: dict[str, Any] = {
        "state": "open",
        "routing_num_shards": 1,
        "settings": {
            "index.uuid": "u",
            "index.number_of_shards": "1",
            "index.version.created": "7171599",
        },
        "mappings": {kind: {"_source": {"enabled": False}, "properties": {"n": {"type": "long"}}}},
    }
    read = index_state("a", entry)
    assert refused(read) == "source_disabled"
    assert read.mapping_type == kind
    empty = index_state("a", {**entry, "mappings": {}})
    assert (empty.mapping_type, empty.mappings, refused(empty)) == ("_doc", {}, None)
    older = {"_default_": {"dynamic": "strict"}, kind: {"_source": {"excludes": ["x"]}}}
    assert refused(index_state("a", {**entry, "mappings": older})) == "source_filtered"


def test_a_data_stream_and_its_backing_index_are_sent_to_their_own_migration() -> None:
    streams = {"logs": [".ds-logs-1"]}
    assert refused(state(".ds-logs-1"), streams) == "backing_index"
    fault = refusal(IndexName("logs"), Facts(Looked({}), streams, 8))
    assert fault is not None
    assert "_migration/reindex" in fault.message


def test_a_name_that_is_not_an_index_says_what_it_is() -> None:
    looked = Looked({"reindexed-v8-a": state("reindexed-v8-a", aliases=("a",))})
    name = IndexName("a")
    assert isinstance(refusal(name, Facts(looked, {}, 8)), NotAnIndex)
    assert isinstance(
        refusal(name, Facts(looked, {}, 8, {"a": "reindexed-v8-a"})), AlreadyReindexed
    )
    assert isinstance(refusal(name, Facts(looked, {}, 8, {"a": "gone"})), NotAnIndex)
    assert isinstance(refusal(name, Facts(Looked({}), {}, 8)), IndexNotFound)


def test_a_target_that_is_there_is_taken_unless_we_left_it() -> None:
    looked = Looked({"b": state("b", aliases=("c",))})
    nothing, left = Facts(looked, {}, 8), Facts(looked, {}, 8, leftovers={"b"})
    assert target_refusal(IndexName("a"), IndexName("b"), nothing)
    assert target_refusal(IndexName("a"), IndexName("b"), left) is None
    assert target_refusal(IndexName("a"), IndexName("c"), nothing)
    assert target_refusal(IndexName("a"), IndexName("a"), nothing)
    assert target_refusal(IndexName("a"), IndexName("d"), nothing) is None


def test_a_mode_that_the_index_cannot_have_is_refused() -> None:
    two = state(settings={"index.number_of_shards": "2"})
    assert mode_refusal("lookup", two)
    assert mode_refusal("lookup", state()) is None
    assert mode_refusal("time_series", state())
    assert mode_refusal("standard", two) is None
    assert mode_refusal(None, two) is None


async def test_a_real_cluster_shows_these_kinds(service: Service, es: Elastic) -> None:
    es.put("/off", {"mappings": {"_source": {"enabled": False}}})
    es.put("/part", {"mappings": {"_source": {"excludes": ["x"]}}})
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    answer = await service.post_batch("off", "part", "plain")
    assert [o["indexName"] for o in answer["enqueued"]] == ["plain"]
    off, part = (error["message"] for error in answer["errors"])
    assert "_source disabled" in off
    assert "leaves fields out of _source" in part
    await service.completed("plain")
    again = await service.post_batch("plain")
    assert again["errors"][0]["message"] == (
        "plain was already reindexed: it is now an alias of reindexed-v8-plain."
    )
    es.post(
        "/_aliases", {"actions": [{"remove": {"index": "reindexed-v8-plain", "alias": "plain"}}]}
    )
    es.delete("/reindexed-v8-plain")
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    await service.post_batch("plain")
    await service.completed("plain")
