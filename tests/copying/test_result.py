"""What an ended copy task says; the answers are those that real servers gave (7.17, 8.19, 9.4)."""

from __future__ import annotations

from typing import Any

import pytest

from app.copying.tasks import Rerun, judge_task
from app.domain.errors import DocumentsRefused, Failure, TaskCancelled
from app.elastic.answers import TaskState

GOOD: dict[str, Any] = {
    "took": 20,
    "timed_out": False,
    "total": 10,
    "updated": 1,
    "created": 6,
    "deleted": 0,
    "batches": 1,
    "version_conflicts": 2,
    "noops": 1,
    "failures": [],
}


def ended(error: dict[str, Any] | None = None, **changed: Any) -> TaskState:
    return TaskState(True, {}, {**GOOD, **changed}, error)


def without(key: str) -> TaskState:
    return TaskState(True, {}, {k: v for k, v in GOOD.items() if k != key}, None)


def rerun(task: TaskState) -> Rerun:
    verdict = judge_task(task)
    assert isinstance(verdict, Rerun), verdict
    return verdict


def write_failure(kind: str, reason: str = "why") -> dict[str, Any]:
    return {"index": "t", "id": "7", "cause": {"type": kind, "reason": reason}, "status": 400}


def search_failure(kind: str) -> dict[str, Any]:
    return {"index": "s", "shard": 0, "reason": {"type": kind, "reason": "why"}}


def test_a_whole_result_is_the_number_of_documents() -> None:
    assert judge_task(ended()) == 10


def test_a_window_without_documents_is_done() -> None:
    zeros = dict.fromkeys(("total", "created", "updated", "version_conflicts", "noops"), 0)
    assert judge_task(ended(**zeros)) == 0


@pytest.mark.parametrize(
    "kind", ["es_rejected_execution_exception", "unavailable_shards_exception"]
)
def test_a_passing_error_of_the_task_runs_it_again_without_limit(kind: str) -> None:
    verdict = rerun(ended(error={"type": kind, "reason": "busy"}))
    assert (verdict.hold, verdict.most_attempts) == (True, 0)
    assert verdict.reason == f"{kind}: busy"


REJECTED = (
    "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, "
    "replica_bytes=0, all_bytes=0, coordinating_operation_bytes={}, "
    "max_coordinating_bytes=51897958]"
)


@pytest.mark.parametrize("told_as", ["error", "failure"])
@pytest.mark.parametrize(("size", "too_heavy"), [(80_593_088, True), (51_000_000, False)])
def test_a_batch_that_weighs_more_than_a_node_takes_at_all_comes_down_to_single_documents(
    told_as: str, size: int, too_heavy: bool
) -> None:
    cause = {"type": "es_rejected_execution_exception", "reason": REJECTED.format(size)}
    if told_as == "error":
        verdict = rerun(ended(error=cause))
    else:
        verdict = rerun(ended(failures=[{"cause": cause, "status": 429}]))
    assert verdict.too_heavy is too_heavy
    assert verdict.least == (1 if too_heavy else 100)


def test_another_error_of_the_task_runs_it_again_three_times_at_most() -> None:
    verdict = rerun(ended(error={"type": "illegal_argument_exception", "reason": "no"}))
    assert verdict.most_attempts == 3


def nested(kind: str) -> dict[str, Any]:
    """As a task tells it where a search failed on every shard (8.19)."""
    cause = {"type": kind, "reason": "why"}
    return {
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": True,
        "failed_shards": [{"shard": 0, "index": "s", "node": "n", "reason": cause}],
        "caused_by": {**cause, "caused_by": cause},
    }


@pytest.mark.parametrize(
    ("kind", "most", "least"),
    [
        ("circuit_breaking_exception", 0, 1),
        ("es_rejected_execution_exception", 0, 100),
        ("too_many_scroll_contexts_exception", 0, None),
        ("search_context_missing_exception", 3, None),
    ],
)
def test_what_a_search_met_on_its_shards_decides(kind: str, most: int, least: int | None) -> None:
    verdict = rerun(ended(error=nested(kind)))
    assert (verdict.most_attempts, verdict.least) == (most, least)
    assert verdict.reason == f"search_phase_execution_exception ({kind}): why"


def test_a_shard_of_a_search_that_is_lost_runs_the_window_again_a_few_times() -> None:
    """So where the node of one of several shards goes away (8.19)."""
    gone = search_failure("illegal_state_exception")
    verdict = rerun(ended(failures=[gone, search_failure("node_not_connected_exception")]))
    assert (verdict.hold, verdict.most_attempts) == (True, 10)
    assert "illegal_state_exception" in verdict.reason
    with pytest.raises(Failure):
        judge_task(ended(failures=[gone, write_failure("mapper_parsing_exception")]))


def test_an_error_counts_even_where_the_counts_look_complete() -> None:
    assert isinstance(judge_task(ended(error={"type": "search_phase_execution_exception"})), Rerun)


def test_an_error_that_is_an_empty_object_is_still_an_error() -> None:
    assert isinstance(judge_task(ended(error={})), Rerun)


def test_a_cancellation_by_a_person_cancels() -> None:
    with pytest.raises(TaskCancelled):
        judge_task(ended(canceled="by user request"))


@pytest.mark.parametrize("reason", ["task parent is gone", "node is shutting down", "timeout"])
def test_any_other_cancellation_is_not_success_and_runs_again(reason: str) -> None:
    verdict = rerun(ended(canceled=reason))
    assert reason in verdict.reason


def test_a_time_out_is_not_success() -> None:
    assert rerun(ended(timed_out=True)).most_attempts == 3


@pytest.mark.parametrize("key", ["timed_out", "total", "created"])
def test_a_result_that_lacks_a_part_is_not_success(key: str) -> None:
    assert rerun(without(key)).most_attempts == 3


def test_no_result_is_not_success() -> None:
    assert rerun(TaskState(True, {}, {}, None)).most_attempts == 3


@pytest.mark.parametrize(
    "failure",
    [
        write_failure("es_rejected_execution_exception"),
        write_failure("unavailable_shards_exception"),
        search_failure("no_shard_available_action_exception"),
        search_failure("node_not_connected_exception"),
    ],
)
def test_passing_failures_run_the_window_again(failure: dict[str, Any]) -> None:
    verdict = rerun(ended(failures=[failure]))
    assert (verdict.hold, verdict.most_attempts) == (True, 0)


def test_a_full_disk_runs_the_window_again_and_another_block_fails_it() -> None:
    full = {**write_failure("cluster_block_exception"), "status": 429}
    assert rerun(ended(failures=[full])).hold
    with pytest.raises(Failure):
        judge_task(ended(failures=[{**full, "status": 403}]))


def test_a_refused_document_fails_and_is_named() -> None:
    failure = write_failure("document_parsing_exception", "failed to parse field [a]")
    with pytest.raises(Failure) as caught:
        judge_task(ended(failures=[failure]))
    assert caught.value.code == "copy_failed"
    assert caught.value.message.startswith("Reindexing failed: ")
    assert isinstance(caught.value, DocumentsRefused)
    assert [document.id for document in caught.value.documents] == ["7"]
    assert "7" not in caught.value.message
    assert "failed to parse field [a]" in caught.value.message


def test_one_lasting_failure_among_passing_ones_fails() -> None:
    failures = [
        write_failure("es_rejected_execution_exception"),
        write_failure("mapper_parsing_exception"),
    ]
    with pytest.raises(Failure):
        judge_task(ended(failures=failures))


def test_a_failure_without_a_cause_fails() -> None:
    with pytest.raises(Failure):
        judge_task(ended(failures=[{"index": "t"}]))


@pytest.mark.parametrize("part", ["created", "updated", "noops", "version_conflicts", "total"])
@pytest.mark.parametrize("by", [-1, 1])
def test_counts_that_do_not_add_up_are_not_success(part: str, by: int) -> None:
    assert rerun(ended(**{part: GOOD[part] + by})).most_attempts == 3


def test_the_failure_of_a_huge_document_is_not_told_at_full_length() -> None:
    failures = [write_failure("mapper_parsing_exception", "x" * 100_000)] * 1000
    with pytest.raises(Failure) as caught:
        judge_task(ended(failures=failures))
    assert len(caught.value.message) < 1_000
