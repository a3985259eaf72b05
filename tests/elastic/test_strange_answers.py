"""Answers that are JSON and yet not Elasticsearch's: trouble, and never a crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest

from app.domain.errors import AnswerMisread, ClusterTrouble, NotElasticsearch
from app.elastic.cluster import Cluster
from testbed.relay import Relay
from tests.elastic.test_connection import CHANGES, A, trouble

JSON = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
PLAIN_TEXT = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "text/plain"}
STRANGE = [b"[]", b"[1,2]", b'"text"', b"null", b"1", b"true", b"{}", b"", b"{", b"\xff\xfe"]
STRANGE_SHAPES = [
    b'{"metadata":[]}',
    b'{"metadata":{"indices":[]}}',
    b'{"metadata":{"indices":{"a":null}}}',
    b'{"metadata":{"indices":{"a":{}}}}',
    b'{"metadata":{"indices":{"a":{"settings":[],"state":"open","routing_num_shards":"x"}}}}',
    b'{"version":"8","count":"many","_shards":null,"indices":[],"active_shards":{},"task":[]}',
    b'{"version":{"number":"eight"},"count":null,"_shards":{"total":null},"a":{"aliases":7}}',
    b'{"indices":{"a":{"shards":{"x":[{}]}}},"tasks":[{}],"aggregations":[],"a":[1]}',
    b'{"indices":{"a":{"shards":[]}},"tasks":{"a":1},"_shards":{"failed":"x"},"a":null}',
]

READS: dict[str, Callable[[Cluster], Awaitable[Any]]] = {
    "version": lambda c: c.nodes.version(),
    "look": lambda c: c.indices.look(A),
    "alias_properties": lambda c: c.aliases.properties(A),
    "count": lambda c: c.documents.count(A),
    "shard_stats": lambda c: c.shards.stats(A),
    "active_copies": lambda c: c.shards.active_copies(A),
    "percentiles": lambda c: c.documents.percentiles_of_seq_no(A, 0, [50.0]),
    "task": lambda c: c.tasks.get("n:1"),
    "copies_running": lambda c: c.tasks.copies_running("rq:"),
    "start_copy": CHANGES["POST /_reindex"],
    "refresh": CHANGES["POST /a/_refresh"],
    "block_writes": CHANGES["PUT /a/_block/write"],
}


@pytest.mark.parametrize("call", READS)
async def test_a_strange_answer_is_trouble_and_never_a_crash(
    cluster: Cluster, relay: Relay, call: str
) -> None:
    for headers, body in product([JSON, PLAIN_TEXT], [*STRANGE, *STRANGE_SHAPES]):
        relay.clear()
        relay.answer("*", ".*", 200, body, headers, times=None)
        try:
            await READS[call](cluster)
        except ClusterTrouble:
            continue
        except Exception as error:
            raise AssertionError(f"{call} crashed at {body!r}: {error!r}") from error


async def test_an_answer_that_is_no_object_is_not_understood(
    cluster: Cluster, relay: Relay
) -> None:
    relay.answer("*", ".*", 200, b"[1,2]", JSON, times=None)
    for call in READS.values():
        assert isinstance(await trouble(call(cluster)), AnswerMisread)


async def test_an_answer_without_what_was_asked_for_is_not_understood(
    cluster: Cluster, relay: Relay
) -> None:
    relay.answer("*", ".*", 200, b"{}", JSON, times=None)
    tell_nothing = {"alias_properties", "shard_stats", "block_writes"}
    for name in READS.keys() - tell_nothing:
        assert isinstance(await trouble(READS[name](cluster)), AnswerMisread), name


async def test_a_success_without_the_product_header_is_not_elasticsearchs(
    cluster: Cluster, relay: Relay
) -> None:
    """Also after others that had it: a proxy may begin to answer in its place."""
    await cluster.nodes.version()
    relay.answer("*", ".*", 200, b"{}", {"Content-Type": "application/json"}, times=None)
    for call in READS.values():
        assert isinstance(await trouble(call(cluster)), NotElasticsearch)


async def test_an_error_answer_of_another_shape_is_never_a_crash(
    cluster: Cluster, relay: Relay
) -> None:
    for status in (400, 404, 500):
        for body in (b"[]", b'{"error":[]}', b'{"error":{}}', b'{"error":null}', b"", b"7"):
            relay.clear()
            relay.answer("*", ".*", status, body, JSON, times=None)
            await trouble(cluster.indices.block_writes(A))
