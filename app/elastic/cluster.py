"""Changing a cluster. Every change is sent once, and each leaves a note for the event log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.domain.errors import ReindexQueueError
from app.domain.events import Note
from app.domain.names import IndexName
from app.elastic.answers import Shards, TaskState
from app.elastic.connection import MASTER_TIMEOUT, Connection, is_missing
from app.elastic.paths import in_path
from app.elastic.translation import understanding
from app.elastic.view import ClusterView, task_id

CREATION_SECONDS = 5.0
"""So long is the answer for a new index awaited before it is looked for."""

_ACKNOWLEDGED = {"master_timeout": MASTER_TIMEOUT, "timeout": MASTER_TIMEOUT}


class Cluster(ClusterView):
    """One cluster, for the worker.

    `permit` is asked before every change and raises where the worker is not the worker any more:
    an owner that slept through its lease must not send what it had in mind.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._notes: list[Note] = []
        self.permit: Callable[[], None] = _always

    def take_notes(self) -> list[Note]:
        """The changes noted since the last call, in order."""
        notes, self._notes = self._notes, []
        return notes

    async def block_writes(self, index: IndexName) -> None:
        """Adds the write block and waits until no write is in flight (8.19: also verifies it)."""
        await self._change(
            Note(what="write block added", index=index),
            "PUT",
            f"/{in_path(index)}/_block/write",
            _ACKNOWLEDGED,
        )

    async def put_settings(
        self, index: IndexName, settings: Mapping[str, Any], before: Mapping[str, Any]
    ) -> None:
        """Sets flat settings; None takes one away. `before` is only for the event."""
        await self._change(
            Note(what="settings changed", index=index, before=dict(before), after=dict(settings)),
            "PUT",
            f"/{in_path(index)}/_settings",
            {**_ACKNOWLEDGED, "expand_wildcards": "all"},
            dict(settings),
        )

    async def open_index(self, index: IndexName) -> None:
        await self._change(
            Note(what="index opened", index=index, before="closed", after="open"),
            "POST",
            f"/{in_path(index)}/_open",
            {**_ACKNOWLEDGED, "wait_for_active_shards": "0"},
        )

    async def close_index(self, index: IndexName) -> None:
        await self._change(
            Note(what="index closed", index=index, before="open", after="closed"),
            "POST",
            f"/{in_path(index)}/_close",
            {**_ACKNOWLEDGED, "wait_for_active_shards": "0"},
        )

    async def create_from(
        self,
        source: IndexName,
        target: IndexName,
        settings: Mapping[str, Any],
        mappings: Mapping[str, Any] | None = None,
    ) -> None:
        """Creates an empty `target` with the source's mappings and settings (8.18 and newer), but
        for those parts of them that are given, each merged into the source's.

        Its answer waits 30 s for primaries that no node may have, whatever it is told (8.19, 9.4):
        so one that does not come soon is not waited for once the index is seen.
        """
        overrides = {"settings_override": dict(settings)}
        overrides |= {"mappings_override": dict(mappings)} if mappings else {}
        note = Note(what="target created", index=target, after=dict(settings))
        path = f"/_create_from/{in_path(source)}/{in_path(target)}"
        answered = asyncio.ensure_future(self._change(note, "POST", path, None, overrides))
        try:
            while not (await asyncio.wait([answered], timeout=CREATION_SECONDS))[0]:
                if target in await self.look(target):
                    self._notes.append(note)
                    return
            answered.result()
        finally:
            answered.cancel()
            await asyncio.gather(answered, return_exceptions=True)

    async def put_dynamic(self, index: IndexName, mappings: Mapping[str, Any]) -> None:
        """Merges a part of a mapping that sets `dynamic` of some objects."""
        await self._change(
            Note(what="mapping changed", index=index, after=dict(mappings)),
            "PUT",
            f"/{in_path(index)}/_mapping",
            _ACKNOWLEDGED,
            dict(mappings),
        )

    async def create_index(
        self, target: IndexName, settings: Mapping[str, Any], mappings: Mapping[str, Any]
    ) -> None:
        """Creates an empty `target`; for clusters before 8.18. None must not be among `settings`:
        7.17 stores it as a literal null."""
        await self._change(
            Note(what="target created", index=target, after=dict(settings)),
            "PUT",
            f"/{in_path(target)}",
            {**_ACKNOWLEDGED, "timeout": f"{CREATION_SECONDS:g}s"},
            {"settings": dict(settings), **({"mappings": dict(mappings)} if mappings else {})},
        )

    async def clone(self, source: IndexName, kept: IndexName, settings: Mapping[str, Any]) -> None:
        """Clones a write-blocked index by hard links where the disk knows them: open, with the
        block, without aliases; templates do not apply (7.17, 8.19, 9.4)."""
        await self._change(
            Note(what="old index cloned", index=kept, before=source, after=dict(settings)),
            "POST",
            f"/{in_path(source)}/_clone/{in_path(kept)}",
            _ACKNOWLEDGED,
            {"settings": dict(settings)},
        )

    async def take_aliases(self, index: IndexName, aliases: Sequence[str]) -> None:
        """Takes `aliases` off `index`."""
        await self._change(
            Note(what="aliases removed", index=index, before=list(aliases), after=[]),
            "POST",
            "/_aliases",
            _ACKNOWLEDGED,
            {"actions": [{"remove": {"index": index, "aliases": list(aliases)}}]},
        )

    async def put_marker(self, index: IndexName, marker: IndexName) -> None:
        """Puts a hidden marker alias on the index that is to survive a removal."""
        await self._change(
            Note(what="marker put on", index=index, after=marker),
            "POST",
            "/_aliases",
            _ACKNOWLEDGED,
            {"actions": [{"add": {"index": index, "alias": marker, "is_hidden": True}}]},
        )

    async def remove_guarded(
        self,
        victim: IndexName,
        survivor: IndexName,
        marker: IndexName,
        aliases: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Removes `victim` and gives `survivor` the aliases, if and only if it has the marker.

        One `_aliases` call, which the master applies whole or not at all: where the survivor is
        gone, or is another index of that name, the marker is not there, the call answers 404 and
        the victim stays (measured on 7.17, 8.19 and 9.4). A bare DELETE is never sent.
        """
        added = [
            {"add": {"index": survivor, "alias": name, **properties}}
            for name, properties in (aliases or {}).items()
        ]
        await self._change(
            Note(what="index removed", index=victim, before=victim, after={"aliases": aliases}),
            "POST",
            "/_aliases",
            _ACKNOWLEDGED,
            {
                "actions": [
                    {"remove": {"index": survivor, "alias": marker, "must_exist": True}},
                    {"remove_index": {"index": victim}},
                    *added,
                ]
            },
        )

    async def move_aliases(
        self,
        source: IndexName,
        target: IndexName,
        marker: IndexName,
        aliases: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Takes `aliases` off `source` and gives them to `target`, all at once or not at all, if
        and only if `target` has the marker."""
        unmarked = {"remove": {"index": target, "alias": marker, "must_exist": True}}
        taken = [
            {"remove": {"index": source, "alias": name, "must_exist": True}} for name in aliases
        ]
        given = [
            {"add": {"index": target, "alias": name, **properties}}
            for name, properties in aliases.items()
        ]
        await self._change(
            Note(what="aliases moved", index=target, before=source, after=dict(aliases)),
            "POST",
            "/_aliases",
            _ACKNOWLEDGED,
            {"actions": [unmarked, *taken, *given]},
        )

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
        query = {"wait_for_completion": "false", "slices": "1"}
        query |= {} if requests_per_second is None else _throttle(requests_per_second)
        query |= {} if scroll is None else {"scroll": scroll}
        answer = await self._change(
            Note(what="copy task started", index=str(body["dest"]["index"]), after=opaque_id),
            "POST",
            "/_reindex",
            query,
            body,
            opaque_id,
        )
        with understanding("a copy that was started"):
            return task_id(answer["task"])

    async def throttle(
        self, task_id: str, requests_per_second: float | None, before: float | None
    ) -> None:
        """Changes the speed of a running copy task; one that has ended meanwhile is left alone.

        Faster is at once, slower after the batch that it is at.
        """
        note = Note(what="copy task throttled", text=task_id, before=before)
        try:
            await self._change(
                note.model_copy(update={"after": requests_per_second}),
                "POST",
                f"/_reindex/{quote(task_id, safe=':')}/_rethrottle",
                _throttle(requests_per_second),
            )
        except ReindexQueueError as error:
            if not is_missing(error, "resource_not_found_exception"):
                raise

    async def copy_now(
        self, body: Mapping[str, Any], opaque_id: str, scroll: str | None = None
    ) -> TaskState:
        """Copies and answers when it is done. Where the answer is lost, its task may still run."""
        query = {"wait_for_completion": "true", "slices": "1", "timeout": "60s"}
        query |= {} if scroll is None else {"scroll": scroll}
        answer = await self._change(
            Note(what="documents copied", index=str(body["dest"]["index"]), after=opaque_id),
            "POST",
            "/_reindex",
            query,
            body,
            opaque_id,
        )
        return TaskState(completed=True, status={}, response=answer, error=None)

    async def cancel_task(self, task: str) -> None:
        """Asks a copy task to end. One of another action that has its number now stays."""
        await self._change(
            Note(what="copy task cancelled", text=task),
            "POST",
            f"/_tasks/{task}/_cancel",
            {"actions": "*reindex"},
        )

    async def forget_tasks(self, task_ids: Sequence[str]) -> None:
        """Deletes the stored results of ended tasks. Raises nothing: they are only litter."""
        lines = [{"delete": {"_index": ".tasks", "_id": task}} for task in task_ids]
        try:
            await self._connection.change("POST", "/_bulk", {"require_alias": "false"}, lines)
        except ReindexQueueError:
            return

    async def refresh(self, index: IndexName) -> Shards:
        """Makes every document searchable; works under a write block."""
        answer = await self._connection.change("POST", f"/{in_path(index)}/_refresh")
        with understanding(f"the refresh of {index}"):
            return Shards.of(answer)

    async def flush(self, index: IndexName) -> None:
        await self._connection.change("POST", f"/{in_path(index)}/_flush")

    async def _change(
        self,
        note: Note,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        opaque_id: str | None = None,
    ) -> dict[str, Any]:
        self.permit()
        try:
            answer = await self._connection.change(method, path, query, body, opaque_id)
        except ReindexQueueError as error:
            text = f"not confirmed: {error.message}"
            self._notes.append(note.model_copy(update={"text": text}))
            raise
        self._notes.append(note)
        return answer


def _throttle(requests_per_second: float | None) -> dict[str, str]:
    """Elasticsearch's way to say no limit is -1."""
    return {"requests_per_second": f"{-1 if requests_per_second is None else requests_per_second}"}


def _always() -> None:
    """Before a worker sets its own permit: nobody else changes the cluster."""
