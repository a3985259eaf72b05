"""Copies as Elasticsearch's tasks: started, looked for, slowed down, cancelled."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from elastic_transport import ApiError, ApiResponse

from app.domain.errors import AnswerTooLarge, ClusterBusy, ReindexQueueError
from app.domain.events import EventKind, Note
from app.elastic.answers import RunningTask, TaskState, integer, mapping
from app.elastic.connection import ChangingCalls, Connection, raw
from app.elastic.errors import is_missing, understanding
from app.elastic.quoting import without_values

_NOT_KNOWN = "resource_not_found_exception"
_WITHOUT_REASONS = "-response.failures.cause.reason,-response.failures.cause.caused_by"
_TASK_ID = re.compile(r"[\w-]{1,100}:\d{1,20}")


class TasksView:
    """Looks at tasks. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def start_seconds(self) -> float:
        """So long after it was sent may a start whose answer was lost still reach Elasticsearch."""
        return self._connection.change_seconds

    async def get(self, task: str) -> TaskState | None:
        """The task, running or ended with a stored result; None where nobody knows it."""
        try:
            answer = await self._get(f"/_tasks/{quote(task, safe=':')}")
        except ReindexQueueError as error:
            if is_missing(error, _NOT_KNOWN):
                return None
            raise
        with understanding(f"task {task}"):
            state = TaskState(
                completed=bool(answer["completed"]),
                status=mapping(answer["task"].get("status", {})),
                response=mapping(without_values(answer.get("response", {}))),
                error=_error_of(answer),
                action=str(answer["task"]["action"]),
                description=str(answer["task"].get("description") or ""),
                started=integer(answer["task"]["start_time_in_millis"]),
                opaque_id=_opaque_id(answer["task"]),
            )
            integer(state.handled)
            return state

    async def _get(self, path: str) -> dict[str, Any]:
        """Where thousands of documents were refused, their reasons may be more than can be read."""
        try:
            return await self._connection.read(raw("GET", path))
        except AnswerTooLarge:
            return await self._connection.read(raw("GET", path, {"filter_path": _WITHOUT_REASONS}))

    async def copies_running(self, opaque_prefix: str = "") -> list[RunningTask]:
        """Running `_reindex` tasks whose `X-Opaque-Id` starts so, slices too.

        Raises `ClusterBusy` where a node did not answer: it may run one.
        """
        query = {"actions": "*reindex", "detailed": "true", "group_by": "none"}
        answer = await self._connection.read(raw("GET", "/_tasks", query))
        if answer.get("node_failures") or answer.get("task_failures"):
            raise ClusterBusy("A node did not say which tasks it runs.")
        with understanding("its tasks"):
            tasks = [
                RunningTask(
                    _task_id(f"{t['node']}:{t['id']}"),
                    _opaque_id(t),
                    str(t.get("description") or ""),
                    integer(t["start_time_in_millis"]),
                    t.get("parent_task_id"),
                )
                for t in cast(list[dict[str, Any]], answer["tasks"])
            ]
        return [task for task in tasks if task.opaque_id.startswith(opaque_prefix)]

    async def header_comes_back(self, remembered: float = 0.0) -> bool:
        """Does Elasticsearch get the `X-Opaque-Id` that we send? At most `remembered` seconds old.

        Many proxies drop or overwrite it.
        """
        return await self._connection.memory.recall("header", remembered, self._ask_for_header)

    async def _ask_for_header(self) -> bool:
        """By a list of the requests for such a list, in which it finds itself (7.17, 8.19, 9.4); as
        often as there are hosts, which take turns."""
        query = {"actions": "cluster:monitor/tasks/lists", "detailed": "true", "group_by": "none"}
        query["filter_path"] = "tasks.headers"
        for _ in range(self._connection.hosts):
            mark = f"rq-probe-{secrets.token_hex(8)}"
            answer = await self._connection.read(raw("GET", "/_tasks", query), mark)
            with understanding("its tasks"):
                if not any(_opaque_id(task) == mark for task in answer.get("tasks", ())):
                    return False
        return True


class Tasks(TasksView):
    """Looks at tasks, starts copies and ends them."""

    def __init__(self, connection: Connection, changes: ChangingCalls) -> None:
        super().__init__(connection)
        self._changes = changes

    async def start_copy(
        self,
        body: Mapping[str, Any],
        opaque_id: str,
        requests_per_second: float | None = None,
        scroll: str | None = None,
    ) -> str:
        """Starts a `_reindex` task and answers its id, `node:number`.

        `requests_per_second`: documents a second, None for no limit; `scroll`: how long its search
        context may rest, None for Elasticsearch's own.
        """
        answer = await self._changes.send(
            Note(
                what=EventKind.COPY_TASK_STARTED, index=str(body["dest"]["index"]), after=opaque_id
            ),
            lambda es: es.reindex(
                body=dict(body),
                wait_for_completion=False,
                slices=1,
                requests_per_second=requests_per_second,
                scroll=scroll,
            ),
            opaque_id,
        )
        with understanding("a copy that was started"):
            return _task_id(answer["task"])

    async def copy_now(
        self, body: Mapping[str, Any], opaque_id: str, scroll: str | None = None
    ) -> TaskState:
        """Copies and answers when it is done. Where the answer is lost, its task may still run."""
        answer = await self._changes.send(
            Note(
                what=EventKind.DOCUMENTS_COPIED, index=str(body["dest"]["index"]), after=opaque_id
            ),
            lambda es: _told_without_values(
                es.reindex(
                    body=dict(body),
                    wait_for_completion=True,
                    slices=1,
                    timeout="60s",
                    scroll=scroll,
                )
            ),
            opaque_id,
        )
        return TaskState(completed=True, status={}, response=without_values(answer), error=None)

    async def throttle(
        self, task: str, requests_per_second: float | None, before: float | None
    ) -> None:
        """Changes the speed of a running copy task; one that has ended meanwhile is left alone.

        Faster is at once, slower after the batch that it is at. None is no limit, for which
        Elasticsearch has -1.
        """
        note = Note(
            what=EventKind.COPY_TASK_THROTTLED, text=task, before=before, after=requests_per_second
        )
        limit = -1 if requests_per_second is None else requests_per_second
        try:
            await self._changes.send(
                note, lambda es: es.reindex_rethrottle(task_id=task, requests_per_second=limit)
            )
        except ReindexQueueError as error:
            if not is_missing(error, _NOT_KNOWN):
                raise

    async def cancel(self, task: str) -> None:
        """Asks a copy task to end. One of another action that has its number now stays."""
        await self._changes.send(
            Note(what=EventKind.COPY_TASK_CANCELLED, text=task),
            raw("POST", f"/_tasks/{task}/_cancel", {"actions": "*reindex"}),
        )

    async def forget(self, task_ids: Sequence[str]) -> None:
        """Deletes the stored results of ended tasks. Raises nothing: they are only litter."""
        lines = [{"delete": {"_index": ".tasks", "_id": task}} for task in task_ids]
        try:
            await self._connection.change(raw("POST", "/_bulk", {"require_alias": "false"}, lines))
        except ReindexQueueError:
            return


def _error_of(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    error = answer.get("error")
    return None if error is None else mapping(without_values(error))


async def _told_without_values(asked: Awaitable[ApiResponse[Any]]) -> ApiResponse[Any]:
    """The same answer. An error of it quotes no document."""
    try:
        return await asked
    except ApiError as error:
        raise type(error)(error.message, error.meta, without_values(error.body)) from None


def _opaque_id(task: Mapping[str, Any]) -> str:
    return str(task.get("headers", {}).get("X-Opaque-Id", ""))


def _task_id(given: Any) -> str:
    """`node:number`. Raises `ValueError`."""
    if not _TASK_ID.fullmatch(str(given)):
        raise ValueError(given)
    return str(given)
