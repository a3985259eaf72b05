"""Looking at the indices of the real cluster, whatever state one is in and whatever its name is."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import (
    InvalidIndexName,
)
from app.domain.names import IndexName
from app.elastic.cluster import Cluster
from app.elastic.connection import MAX_PATH, chunks, in_path
from testbed.relay import Relay
from tests.elasticsearch import Elastic

ODD_NAMES = ["%2f", "a%b", "ünïcödé", "日本語", "a&b=c", "a;b", "a@b", "a'b", "(a)", "a~b!", "a+b"]


def is_name(text: str) -> bool:
    try:
        IndexName(text)
    except InvalidIndexName:
        return False
    return True


NAMES = st.text(min_size=1, max_size=85).map(str.lower).filter(is_name).map(IndexName)
LONGEST = st.integers(0, 85).map(lambda n: IndexName("日" * n + "x" * (255 - 3 * n)))


@settings(deadline=None)
@given(st.lists(st.one_of(NAMES, LONGEST), max_size=60))
def test_parts_of_a_list_of_names_fit_into_a_url_and_leave_nothing_out(
    names: list[IndexName],
) -> None:
    parts = chunks(names)
    assert [name for part in parts for name in part] == names
    for part in parts:
        assert part
        assert len(f"/_cluster/state/metadata/{in_path(*part)}") < MAX_PATH + 50


@settings(deadline=None)
@given(st.lists(st.one_of(NAMES, LONGEST), min_size=1, max_size=60))
def test_parts_are_as_few_as_possible(names: list[IndexName]) -> None:
    parts = chunks(names)
    for part, following in pairwise(parts):
        assert len(in_path(*part, following[0])) + 1 > MAX_PATH


async def test_ten_thousand_names_are_asked_for_in_urls_that_the_server_takes(
    cluster: Cluster, relay: Relay, es: Elastic
) -> None:
    es.put("/" + quote("é" * 100))
    names = [IndexName(f"unknown-{'日' * 20}-{n}") for n in range(1_000)]
    looked = await cluster.indices.look_at_all([*names, IndexName("é" * 100)])
    assert list(looked) == ["é" * 100]
    assert max(len(request.path) for request in relay.seen) < 4_000


async def test_a_metadata_block_somewhere_hides_the_sizes_of_few(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/open")
    es.put("/elsewhere", {"settings": {"index.blocks.metadata": True}})
    many = [IndexName(f"unknown-{'日' * 20}-{n}") for n in range(200)]
    sizes = await cluster.indices.sizes([*many, IndexName("open")])
    assert sizes.keys() == {"open"}


async def test_the_longest_names_are_found(cluster: Cluster, es: Elastic) -> None:
    longest = [IndexName(letter * 85) for letter in "日月火水"]
    for name in longest:
        es.put(f"/{quote(name)}")
    assert set(await cluster.indices.look_at_all(longest)) == set(longest)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a_name_that_needs_quoting_means_that_index_only(
    cluster: Cluster, es: Elastic, name: str
) -> None:
    es.put(f"/{quote(name, safe='')}", {"settings": {"number_of_replicas": 0}})
    es.put("/other")
    looked = await cluster.indices.look(IndexName(name))
    assert list(looked) == [name]
    await cluster.indices.block_writes(IndexName(name))
    assert (await cluster.indices.look(IndexName(name)))[name].write_blocked
    assert not (await cluster.indices.look(IndexName("other")))["other"].write_blocked


async def test_unknown_names_beside_known_ones_are_simply_not_there(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/here")
    looked = await cluster.indices.look(IndexName("nowhere"), IndexName("here"), IndexName("gone"))
    assert list(looked) == ["here"]
    assert await cluster.indices.look(IndexName("nowhere")) == {}


async def test_an_alias_brings_in_its_indices_and_is_no_key(cluster: Cluster, es: Elastic) -> None:
    es.put("/one", {"aliases": {"both": {}}})
    es.put("/two", {"aliases": {"both": {}}})
    looked = await cluster.indices.look(IndexName("both"))
    assert set(looked) == {"one", "two"}
    assert looked.holders("both") == ["one", "two"]
    assert looked.holders("one") == []


async def test_closed_hidden_and_metadata_blocked_indices_are_seen_beside_others(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/plain")
    es.put("/closed")
    es.post("/closed/_close")
    es.put("/.hidden", {"settings": {"index.hidden": True}})
    es.put("/sealed")
    es.put("/sealed/_settings", {"index.blocks.metadata": True, "index.blocks.read": True})
    names = [IndexName(n) for n in ("plain", "closed", ".hidden", "sealed", "unknown")]
    looked = await cluster.indices.look(*names)
    assert set(looked) == {"plain", "closed", ".hidden", "sealed"}
    assert [name for name, state in looked.items() if state.closed] == ["closed"]
    assert looked["sealed"].blocks == {
        "index.blocks.metadata": "true",
        "index.blocks.read": "true",
    }
    assert not looked["sealed"].write_blocked


async def test_what_is_seen_of_an_index(cluster: Cluster, es: Elastic) -> None:
    es.put(
        "/a",
        {
            "settings": {"number_of_shards": 3, "number_of_routing_shards": 30},
            "mappings": {"properties": {"n": {"type": "long"}}},
            "aliases": {"x": {"filter": {"term": {"n": 1}}}},
        },
    )
    name = IndexName("a")
    state = (await cluster.indices.look(name))["a"]
    assert (state.shards, state.routing_shards, state.closed) == (3, 30, False)
    assert state.uuid == es.settings("a")["index.uuid"]
    assert state.aliases == ("x",)
    assert state.mappings == {}
    mapped = (await cluster.indices.look(name, mappings=True))["a"]
    assert mapped.mappings == {"properties": {"n": {"type": "long"}}}
    assert await cluster.aliases.properties(name) == {"x": {"filter": {"term": {"n": 1}}}}


async def test_the_verified_write_block_is_seen(cluster: Cluster, es: Elastic) -> None:
    es.put("/a")
    name = IndexName("a")
    assert not (await cluster.indices.look(name))["a"].verified_read_only
    await cluster.indices.block_writes(name)
    state = (await cluster.indices.look(name))["a"]
    assert state.write_blocked
    assert state.verified_read_only


async def test_counts_and_sequence_numbers_of_each_shard(cluster: Cluster, es: Elastic) -> None:
    es.put("/a", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    es.bulk("a", [{"n": n} for n in range(20)])
    name = IndexName("a")
    documents, shards = await cluster.documents.count(name)
    assert (documents, shards.total, shards.failed) == (20, 2, 0)
    stats = await cluster.shards.stats(name)
    assert sorted(stats) == [0, 1]
    assert sum(shard.documents for shard in stats.values()) == 20
    assert sum(shard.max_seq_no + 1 for shard in stats.values()) == 20
    assert await cluster.shards.active_copies(name) == 2
