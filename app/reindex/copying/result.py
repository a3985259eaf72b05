"""What an ended copy task says: done, run it again, or failed. Only positive proof is success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.errors import DocumentsRefused, TaskCancelled
from app.domain.failure import MOST_DOCUMENTS, FailedDocument, counted
from app.domain.texts import capped
from app.elastic.answers import TaskState
from app.elastic.translation import passes_by_itself, understanding

BY_A_PERSON = "by user request"
"""How a task says that it was cancelled through the task API; other reasons are Elasticsearch's."""

MOST_OF_A_REASON = 500

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
    """The documents the window handled, or why it runs again.

    An ended task looks like a success if only `failures` is read: it may carry an `error`, a
    cancellation or a time-out instead (7.17, 8.19, 9.4).

    Raises `Failure`, and `NotElasticsearch` where the result is not one.
    """
    with understanding("a copy that has ended"):
        return _judged(task)


def _judged(task: TaskState) -> int | Rerun:
    response = task.response
    if task.error is not None:
        kind = capped(str(task.error.get("type")), 100)
        limit = 0 if passes_by_itself(kind) else 3
        reason = f"{kind}: {capped(str(task.error.get('reason')), MOST_OF_A_REASON)}"
        return Rerun(reason, most_attempts=limit, too_much=kind in _TOO_MUCH)
    if response.get("canceled") == BY_A_PERSON:
        raise TaskCancelled
    if response.get("canceled"):
        why = capped(str(response["canceled"]), MOST_OF_A_REASON)
        return Rerun(f"its task was cancelled: {why}")
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
    kinds = [_kind(failure) for failure in failures]
    lasting = [failure for failure in failures if not _passes(failure)]
    first = _refused((lasting or failures)[0])
    if not lasting:
        return Rerun(f"{first.type}: {first.reason}", too_much=bool(set(kinds) & _TOO_MUCH))
    raise DocumentsRefused(
        f"Reindexing failed: {len(failures)} documents or searches were refused, the first "
        f"({first.id or 'no id'}) because of {first.type}: {first.reason}",
        [_refused(failure) for failure in lasting[:MOST_DOCUMENTS]],
        counted(kinds),
    )


def _refused(failure: Mapping[str, Any]) -> FailedDocument:
    given = failure.get("id")
    return FailedDocument.of(
        None if given is None else str(given),
        _kind(failure),
        str(_cause(failure).get("reason", "no reason given")),
    )


def _passes(failure: Mapping[str, Any]) -> bool:
    """A disk that is nearly full blocks an index (`cluster_block_exception`) with 429; other blocks
    come with 403."""
    return passes_by_itself(_kind(failure)) or failure.get("status") == 429


def _kind(failure: Mapping[str, Any]) -> str:
    return str(_cause(failure).get("type", "unknown"))


def _cause(failure: Mapping[str, Any]) -> Mapping[str, Any]:
    return failure.get("cause") or failure.get("reason") or {}
