"""What a search met on its shards, however deep it is told."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import ClusterBusy, ClusterRefused, ClusterTrouble, SearchRefused
from app.elastic.cluster import Cluster
from app.elastic.errors import Cause, error_types, innermost
from testbed.relay import Relay
from tests.elastic.test_connection import A
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

WHY: dict[str, Any] = {"type": "circuit_breaking_exception", "reason": "Data too large"}
OUTER = {"type": "search_phase_execution_exception", "reason": "all shards failed"}
OF_A_SHARD: dict[str, Any] = {
    "type": "query_shard_exception",
    "reason": "failed to create query",
    "caused_by": WHY,
}


@pytest.mark.parametrize(
    "error",
    [
        WHY,
        {**OUTER, "root_cause": [], "failed_shards": [], "caused_by": WHY},
        {
            **OUTER,
            "root_cause": [OF_A_SHARD],
            "failed_shards": [{"shard": 0, "reason": OF_A_SHARD}],
        },
        {**OUTER, "reason": "", "caused_by": {"type": "exception", "caused_by": OF_A_SHARD}},
        {"type": "remote_transport_exception", "caused_by": {**OUTER, "caused_by": OF_A_SHARD}},
    ],
)
def test_the_innermost_cause_is_found(error: dict[str, Any]) -> None:
    assert innermost(error) == Cause("circuit_breaking_exception", "Data too large")
    assert WHY["type"] in error_types(error)
    assert error_types(error)[0] == error["type"]


NO_ERRORS: list[Any] = [None, "text", [], {}, {"reason": "x"}, {"type": 7}, [[[]]]]


@pytest.mark.parametrize("error", NO_ERRORS)
def test_what_is_no_error_has_no_cause(error: Any) -> None:
    assert innermost(error) is None
    assert error_types(error) == []


async def test_a_query_that_the_shards_refuse_is_told_by_what_they_met(
    cluster: Cluster, es: Elastic
) -> None:
    filled(es, "a", settings={"number_of_shards": 2})
    with pytest.raises(ClusterRefused, match="number_format_exception: ") as refused:
        await cluster.documents.find(A, {"term": {"n": "zsecretz"}}, 10)
    assert "zsecretz" not in refused.value.message


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [("circuit_breaking_exception", ClusterBusy), ("null_pointer_exception", SearchRefused)],
)
async def test_a_partial_answer_is_told_by_what_the_shard_met(
    cluster: Cluster, relay: Relay, kind: str, trouble: type[ClusterTrouble]
) -> None:
    failure = {"shard": 1, "index": "a", "reason": {"type": "x", "caused_by": {"type": kind}}}
    shards = {"total": 2, "successful": 1, "failed": 1, "failures": [failure]}
    hits: dict[str, Any] = {"total": {"value": 0}, "hits": []}
    answer: dict[str, Any] = {
        "_shards": shards,
        "count": 1,
        "timed_out": False,
        "hits": hits,
        "aggregations": {},
    }
    relay.answer("*", "^/a/_(count|search)", 200, answer, times=None)
    for call in (
        cluster.documents.count(A),
        cluster.documents.find(A, {"match_all": {}}, 10),
        cluster.documents.percentiles_of_seq_no(A, 0, [50.0]),
    ):
        with pytest.raises(trouble, match=kind):
            await call
