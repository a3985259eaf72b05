"""What an ended copy task says: done, run it again, or failed. Only positive proof is success."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.errors import DocumentsRefused, TaskCancelled
from app.domain.failure import MOST_DOCUMENTS, FailedDocument, counted
from app.domain.texts import capped
from app.domain.windows import LIGHTER
from app.elastic.answers import TaskState
from app.elastic.errors import error_types, innermost, passes_by_itself, understanding

BY_A_PERSON = "by user request"
"""How a task says that it was cancelled through the task API; other reasons are Elasticsearch's."""

MOST_OF_A_REASON = 500

MOST_ATTEMPTS, MOST_SEARCHES = 3, 10
"""How often a window may fail by an error that may not pass, and by a search that did: a shard of
a scroll is lost with its node, and what it is told as tells nothing (8.19)."""

FEW_DOCUMENTS = 100
"""Smaller batches do not help a node whose queues are full."""

_PARTS = ("created", "updated", "deleted", "noops", "version_conflicts")


@dataclass(frozen=True)
class Rerun:
    """The window has to run again.

    `hold`: after a pause; `most_attempts`: after so many failures it is over, 0: no limit; `least`:
    with smaller batches, down to so many documents, each a `divisor`-th of those before.
    `too_heavy`: what a batch weighs is more than a node takes at all, so that one of a single
    document is never taken.
    """

    reason: str
    hold: bool = True
    most_attempts: int = 0
    least: int | None = None
    divisor: int = 2
    too_heavy: bool = False


def judge(task: TaskState) -> int | Rerun:
    """The documents the window handled, or why it runs again.

    An ended task looks like a success if only `failures` is read: it may carry an `error`, a
    cancellation or a time-out instead (7.17, 8.19, 9.4).

    Raises `Failure`, and `AnswerMisread` where the result is not one.
    """
    with understanding("a copy that has ended"):
        return _judged(task)


def _judged(task: TaskState) -> int | Rerun:
    response = task.response
    if task.error is not None:
        return _of_error(task.error)
    if response.get("canceled") == BY_A_PERSON:
        raise TaskCancelled
    if response.get("canceled"):
        why = capped(str(response["canceled"]), MOST_OF_A_REASON)
        return Rerun(f"its task was cancelled: {why}")
    failures = cast(Sequence[Mapping[str, Any]], response.get("failures") or ())
    if failures:
        return _of_failures(failures)
    if response.get("timed_out") is not False:
        return Rerun("its task timed out or left no result", most_attempts=MOST_ATTEMPTS)
    total = int(response.get("total", -1))
    if total != sum(int(response.get(part) or 0) for part in _PARTS):
        return Rerun("its counts do not add up", most_attempts=MOST_ATTEMPTS)
    return total


def _of_error(error: Mapping[str, Any]) -> Rerun:
    """Its own type may say no more than that a search has failed."""
    kinds = error_types(error) or ["None"]
    inside = innermost(error)
    shown = f"{kinds[0]} ({inside.kind})" if inside and inside.kind != kinds[0] else kinds[0]
    reason = capped(inside.reason if inside else str(error.get("reason")), MOST_OF_A_REASON)
    if _too_heavy(reason):
        return Rerun(f"{shown}: {reason}", least=1, divisor=LIGHTER, too_heavy=True)
    return Rerun(
        f"{shown}: {reason}",
        most_attempts=0 if any(map(passes_by_itself, kinds)) else MOST_ATTEMPTS,
        least=_least(kinds),
    )


def _of_failures(failures: Sequence[Mapping[str, Any]]) -> Rerun:
    kinds = [_kind(failure) for failure in failures]
    lasting = [f for f in failures if not (_passes(f) or _is_search(f))]
    if lasting:
        first = _refused(lasting[0])
        raise DocumentsRefused(
            f"Reindexing failed: {len(failures)} documents or searches were refused, the first "
            f"({first.id or 'no id'}) because of {first.type}: {first.reason}",
            [_refused(failure) for failure in lasting[:MOST_DOCUMENTS]],
            counted(kinds),
        )
    odd = [failure for failure in failures if not _passes(failure)]
    first = _refused((odd or failures)[0])
    nested = [kind for failure in failures for kind in error_types(_cause(failure))]
    limit = MOST_SEARCHES if odd else 0
    if not odd and _too_heavy(first.reason):
        return Rerun(f"{first.type}: {first.reason}", least=1, divisor=LIGHTER, too_heavy=True)
    return Rerun(f"{first.type}: {first.reason}", most_attempts=limit, least=_least(nested))


_WEIGHED = re.compile(r"_operation_bytes=(\d+), max_\w+=(\d+)")


def _too_heavy(reason: str) -> bool:
    """True where a write is refused because it alone is more than all writes may be together.

    `rejected execution of coordinating operation [coordinating_and_primary_bytes=0, …,
    coordinating_operation_bytes=80593088, max_coordinating_bytes=51897958]` (8.19): a tenth of the
    heap, `indexing_pressure.memory.limit`.
    """
    found = _WEIGHED.search(reason)
    return found is not None and int(found[1]) > int(found[2])


def _least(kinds: Sequence[str]) -> int | None:
    """Down to how many documents a batch is to be made smaller; None where that is no matter."""
    if "circuit_breaking_exception" in kinds:
        return 1
    return FEW_DOCUMENTS if "es_rejected_execution_exception" in kinds else None


def _is_search(failure: Mapping[str, Any]) -> bool:
    """True for one of reading, not of a document: it has a `reason` with a type, and no `cause`."""
    return isinstance(failure.get("reason"), Mapping) and "cause" not in failure


def _refused(failure: Mapping[str, Any]) -> FailedDocument:
    given = failure.get("id")
    if _is_search(failure) and (inside := innermost(failure)):
        return FailedDocument.of(None, inside.kind, inside.reason)
    return FailedDocument.of(
        None if given is None else str(given),
        _kind(failure),
        str(_cause(failure).get("reason", "no reason given")),
    )


def _passes(failure: Mapping[str, Any]) -> bool:
    """A disk that is nearly full blocks an index (`cluster_block_exception`) with 429; other blocks
    come with 403."""
    kinds = error_types(_cause(failure))
    return any(map(passes_by_itself, kinds)) or failure.get("status") == 429


def _kind(failure: Mapping[str, Any]) -> str:
    return str(_cause(failure).get("type", "unknown"))


def _cause(failure: Mapping[str, Any]) -> Mapping[str, Any]:
    return failure.get("cause") or failure.get("reason") or {}
