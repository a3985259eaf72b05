"""What is kept of Elasticsearch's words about documents: never a value of one."""

from __future__ import annotations

from typing import Any

import pytest

from app.copying.tasks import Rerun, judge_task
from app.domain.names import IndexName
from app.elastic.answers import Document, TaskState
from app.elastic.cluster import Cluster
from app.elastic.errors import shards_failed
from app.elastic.quoting import LEFT_OUT, known_part, without_values
from tests.elastic.refused import CONFLICTS, SECRET, is_told_without_its_value, of_type
from tests.elasticsearch import Elastic


@pytest.mark.parametrize("name", CONFLICTS)
def test_a_refused_document_is_told_by_type_and_field_only(es: Elastic, name: str) -> None:
    is_told_without_its_value(es, CONFLICTS[name])


def test_a_script_and_its_stack_are_not_kept(es: Elastic) -> None:
    es.put("/old/_doc/7?refresh=true", {"f": SECRET})
    script = {"source": f"Long.parseLong(ctx._source.f + '{SECRET}')"}
    body = {"source": {"index": "old"}, "dest": {"index": "new"}, "script": script}
    error = es.request("POST", "/_reindex", body).json()["error"]
    assert SECRET in str(error)
    told = without_values(error)
    assert told["type"] == "script_exception"
    assert SECRET not in str(told)


REQUEST = 'request: [BulkShardRequest [[new][0]] containing [index {[new][7], source[{"f":"%s"}]}]]'


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (f"failed to parse field [f [x]] of type [long], value '{SECRET}'", LEFT_OUT),
        (f"unable to convert [field [f] of type [{SECRET}] to integer", LEFT_OUT),
        (f"{SECRET} failed to parse field [f] of type [long]", LEFT_OUT),
        ("failed to parse", "failed to parse"),
        ("", LEFT_OUT),
        (
            f"[new][0] primary shard is not active Timeout: [1m], {REQUEST % SECRET}",
            "[new][0] primary shard is not active",
        ),
        (
            f"rejected execution of processing of [12][indices:data/write/bulk[s][p]]: "
            f"{REQUEST % SECRET} on EsThreadPoolExecutor[name = n/write]",
            LEFT_OUT,
        ),
        (
            f"[1:37] failed to parse: unknown join name [{SECRET}] for field [f]",
            "[1:37] failed to parse: unknown join name for field [f]",
        ),
        (
            f"[1:6] failed to parse: The [dense_vector] field [f] in doc [document with id "
            f"'{SECRET}'] has a different number of dimensions [2] than defined in the mapping [3]",
            "[1:6] failed to parse: The [dense_vector] field [f] has a different number of "
            "dimensions [2] than defined in the mapping [3]",
        ),
        (f"routing is required for [new]/[{SECRET}]", "routing is required"),
        (
            'Document contains at least one immense term in field="f" (whose UTF8 encoding is '
            "longer than 32766). The prefix of the first immense term is: '[122, 115]...'",
            'Document contains at least one immense term in field="f"',
        ),
        (
            "index [new] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
            "watermark, index has read-only-allow-delete block];",
            "index [new] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
            "watermark, index has read-only-allow-delete block];",
        ),
    ],
)
def test_only_the_known_part_of_a_text_is_kept(reason: str, told: str) -> None:
    assert known_part(reason) == told


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (
            "Limit of total fields [2] has been exceeded",
            "Limit of total fields [2] has been exceeded",
        ),
        (f"weight must be an integer, but was [{SECRET}]", ""),
    ],
)
def test_where_only_the_cause_says_more_its_known_part_is_told(inside: str, told: str) -> None:
    """So 7.17 tells of limits, of fields without a name and the like."""
    cause = {"type": "illegal_argument_exception", "reason": inside}
    error = {"type": "mapper_parsing_exception", "reason": "failed to parse", "caused_by": cause}
    whole = f"failed to parse: {told}" if told else "failed to parse"
    assert without_values(error)["reason"] == whole


def test_errors_of_any_depth_lose_their_values() -> None:
    error: dict[str, Any] = {"type": "a_exception", "reason": SECRET}
    for _ in range(50):
        error = {"type": "a_exception", "reason": SECRET, "caused_by": error}
    assert SECRET not in str(without_values({"failures": [{"id": "7", "cause": error}]}))


def test_the_error_of_a_task_and_of_a_shard_lose_their_values() -> None:
    cause = {"type": "x_exception", "reason": f'For input string: "{SECRET}"'}
    failures = [{"shard": 0, "reason": {**cause, "caused_by": cause}}]
    assert SECRET not in shards_failed("A shard of old", failures).message
    verdict = judge_task(TaskState(True, {}, {}, without_values(cause)))
    assert isinstance(verdict, Rerun)
    assert verdict.reason == f"x_exception: {LEFT_OUT}"


async def test_documents_that_are_tried_are_told_without_their_values(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/new", {"mappings": of_type("long")})
    tried = [Document("7", None, 1, b'{"f": "%s"}' % SECRET.encode())]
    (refused,) = await cluster.documents.refusals(IndexName("new"), tried)
    assert (refused.id, SECRET in refused.reason) == ("7", False)
    assert "failed to parse field [f] of type [long]" in refused.reason
