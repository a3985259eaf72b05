"""What an ended copy task says: done, run it again, or failed. Only positive proof is success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.errors import Failure, TaskCancelled
from app.elastic.answers import TaskState
from app.elastic.translation import passes_by_itself

BY_A_PERSON = "by user request"
"""How a task says that it was cancelled through the task API; other reasons are Elasticsearch's."""

_TOO_MUCH = {"circuit_breaking_exception", "es_rejected_execution_exception"}
"""What a node says that has no room for a batch of this size now, or ever."""

_PARTS = ("created", "updated", "deleted", "noops", "version_conflicts")


@dataclass(frozen=True)
class Rerun:
    """The window has to run again.

    `hold`: after a pause; at most so many attempts, 0: no limit; `too_much`: with smaller batches.
    """

    reason: str
    hold: bool = True
    most_attempts: int = 0
    too_much: bool = False


def judge(task: TaskState) -> int | Rerun:
    """The documents the window handled, or why it runs again. Raises `Failure`.

    An ended task looks like a success if only `failures` is read: it may carry an `error`, a
    cancellation or a time-out instead (7.17, 8.19, 9.4).
    """
    response = task.response
    if task.error is not None:
        kind = str(task.error.get("type"))
        limit = 0 if passes_by_itself(kind) else 3
        reason = f"{kind}: {task.error.get('reason')}"
        return Rerun(reason, most_attempts=limit, too_much=kind in _TOO_MUCH)
    if response.get("canceled") == BY_A_PERSON:
        raise TaskCancelled
    if response.get("canceled"):
        return Rerun(f"its task was cancelled: {response['canceled']}")
    failures = cast(Sequence[Mapping[str, Any]], response.get("failures") or ())
    if failures:
        return _of_failures(failures)
    if response.get("timed_out") is not False:
        return Rerun("its task timed out or left no result", most_attempts=3)
    total = int(response.get("total", -1))
    if total != sum(int(response.get(part) or 0) for part in _PARTS):
        return Rerun("its counts do not add up", most_attempts=3)
    return total


def _of_failures(failures: Sequence[Mapping[str, Any]]) -> Rerun:
    kinds = {str(_cause(failure).get("type")) for failure in failures}
    first = failures[0]
    cause = _cause(first)
    what = f"{cause.get('type')}: {str(cause.get('reason'))[:500]}"
    if all(map(_passes, failures)):
        return Rerun(what, too_much=bool(kinds & _TOO_MUCH))
    raise Failure(
        "copy_failed",
        f"Reindexing failed: {len(failures)} documents or searches were refused, the first "
        f"({first.get('id', 'no id')}) because of {what}",
    )


def _passes(failure: Mapping[str, Any]) -> bool:
    """A disk that is nearly full blocks an index (`cluster_block_exception`) with 429; other blocks
    come with 403."""
    return passes_by_itself(str(_cause(failure).get("type"))) or failure.get("status") == 429


def _cause(failure: Mapping[str, Any]) -> Mapping[str, Any]:
    return failure.get("cause") or failure.get("reason") or {}
