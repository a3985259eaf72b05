"""Looking at a cluster; nothing here changes it."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from app.domain.errors import AnswerTooLarge, ClusterBusy, ClusterRefused, ReindexQueueError
from app.domain.names import IndexName
from app.elastic.answers import (
    Looked,
    RunningTask,
    TaskState,
    Version,
    index_state,
    mapping,
    whole,
)
from app.elastic.capacity import CapacityView
from app.elastic.connection import is_missing
from app.elastic.paths import chunks, in_path
from app.elastic.referring import ReferringView
from app.elastic.shards import ShardView
from app.elastic.snapshots import SnapshotsView
from app.elastic.translation import understanding
from app.elastic.vitals import VitalsView

_NO_ALIAS = (
    "invalid_alias_name_exception",
    "cluster_block_exception",
    "index_not_found_exception",
)
"""How an alias is refused that can not be, to a user who sees the whole index."""

_WITHOUT_REASONS = "-response.failures.cause.reason,-response.failures.cause.caused_by"

_TASK_ID = re.compile(r"[\w-]{1,100}:\d{1,20}")

LOOKS_AT_ONCE = 6
_STATE_FIELDS = (
    "settings",
    "aliases",
    "state",
    "routing_num_shards",
    "system",
    "rollover_info",
    "mappings.*._source",
)


_TYPES = "mappings.*.properties.*.type"
"""Enough of a mapping to see the name of the type that it is under."""


class ClusterView(VitalsView, CapacityView, ReferringView, SnapshotsView, ShardView):
    """Reads one cluster. Every method raises `ClusterTrouble` where waiting may help."""

    async def version(self) -> Version:
        answer = await self._connection.read("/")
        with understanding("its version"):
            number = str(answer["version"]["number"])
            int(number.split(".")[0])
            return Version(number)

    async def cluster_uuid(self) -> str:
        """What the cluster called itself when it was formed; it stays over upgrades.

        Raises `ClusterBusy` where it has not formed yet (`_na_`, 7.17 to 9.4).
        """
        answer = await self._connection.read("/")
        with understanding("its UUID"):
            found = str(answer["cluster_uuid"])
        if found == "_na_":
            raise ClusterBusy("The cluster has no master that its nodes agree on yet.")
        return found

    async def node_versions(self, remembered: float = 0.0) -> list[Version]:
        """The versions of all nodes, oldest first; at most `remembered` seconds old."""
        return await self._connection.memory.recall("versions", remembered, self._ask_versions)

    async def _ask_versions(self) -> list[Version]:
        answer = await self._connection.read("/_nodes/os", {"filter_path": "nodes.*.version"})
        with understanding("the versions of its nodes"):
            found = {str(node["version"]) for node in answer["nodes"].values()}
            versions = sorted((Version(number) for number in found), key=lambda v: v.parts)
            versions[0]  # one at least has answered
            return versions

    async def data_streams(self) -> dict[str, list[str]]:
        """Every data stream with its backing indices; empty where the cluster has none."""
        answer = await self._connection.read(
            "/_cluster/state/metadata/.rq-no-index",
            {
                "ignore_unavailable": "true",
                "allow_no_indices": "true",
                "filter_path": "metadata.data_stream.data_stream.*.indices.index_name",
            },
        )
        with understanding("its data streams"):
            found = answer.get("metadata", {}).get("data_stream", {}).get("data_stream", {})
            return {
                name: [str(index["index_name"]) for index in stream.get("indices", ())]
                for name, stream in cast(dict[str, Any], found).items()
            }

    async def security_on(self, remembered: float = 0.0) -> bool:
        """False where the cluster has no security, or it is switched off; at most `remembered`
        seconds old."""
        return await self._connection.memory.recall("security", remembered, self._ask_security)

    async def _ask_security(self) -> bool:
        """By something that every user may do: `_xpack` is refused to one without `monitor`."""
        try:
            await self._connection.read("/_security/_authenticate")
        except ClusterRefused as error:
            absent = error.kind == "error" and error.http_status in (400, 405)  # no such route
            if absent or "ecurity must be explicitly enabled" in error.reason:  # 7.x by default
                return False
            raise
        return True

    async def missing_privileges(
        self, *, everything: Sequence[str], readable: Sequence[str], managed: Sequence[str]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """What our own user lacks: cluster privileges, and index privileges by name.

        Of the cluster it is `manage`; `all` on the first names, `read` and `manage` on the others.
        """
        asked: list[dict[str, Any]] = [
            {"names": everything, "privileges": ["all"], "allow_restricted_indices": True},
            {"names": readable, "privileges": ["read"]},
            {"names": managed, "privileges": ["manage"]},
        ]
        answer = await self._connection.read(
            "/_security/user/_has_privileges",
            None,
            {"cluster": ["manage"], "index": [entry for entry in asked if entry["names"]]},
        )
        with understanding("our privileges"):
            lacking = [name for name, held in answer["cluster"].items() if not held]
            by_index = {
                index: [privilege for privilege, held in privileges.items() if not held]
                for index, privileges in cast(dict[str, dict[str, bool]], answer["index"]).items()
            }
        return lacking, {index: lacks for index, lacks in by_index.items() if lacks}

    async def restriction_on(self, index: IndexName) -> str | None:
        """Elasticsearch's word that our user has document- or field-level security on `index`.

        `_has_privileges` says yes to everything all the same, while documents and fields are
        missing from every answer; `_security/user/_privileges` is refused to an API key with
        roles of its own, and does not show those of its owner (8.19). But an alias is refused to
        such a user before anything else, so one is asked for that can not be: the index's own
        name (8.19, 9.4).
        """
        actions = [{"add": {"index": index, "alias": index}}]
        try:
            await self._connection.read("/_aliases", None, {"actions": actions})
        except ClusterRefused as error:
            if error.kind == "security_exception" and error.http_status == 400:
                return error.reason
            if error.kind not in _NO_ALIAS:
                raise
        return None

    async def effective_setting(self, index: IndexName, key: str) -> str | None:
        """A setting's value, its default for that index included; None where it is unknown."""
        answer = await self._connection.read(
            f"/{in_path(index)}/_settings",
            {"flat_settings": "true", "include_defaults": "true", "expand_wildcards": "all"},
        )
        with understanding(f"the settings of {index}"):
            entry = answer[index]
            value = entry["settings"].get(key, entry.get("defaults", {}).get(key))
            return None if value is None else str(value)

    async def look(self, *names: IndexName, mappings: bool = False) -> Looked:
        """The concrete indices behind `names`, from the master's cluster state.

        The cluster state answers where `GET /{index}` does not: for closed indices, under a
        `metadata` block, and beside names that do not exist (measured on 8.19). An alias among
        the names brings in its indices.
        """
        wanted = (*_STATE_FIELDS[:-1], "mappings") if mappings else _STATE_FIELDS
        return await self._looked(in_path(*names), wanted)

    async def mapping_types(self, names: Sequence[IndexName]) -> dict[str, str]:
        """The type that the mapping of each index is under, where it has any fields (7.17)."""
        found: dict[str, str] = {}
        for part in chunks(names):
            looked = await self._looked(in_path(*part), (*_STATE_FIELDS[:-1], _TYPES))
            found |= {name: state.mapping_type for name, state in looked.items()}
        return found

    async def look_at_everything(self) -> Looked:
        """Every index of the cluster: one request, a second for 2,000 of them at most (8.19)."""
        return await self._looked("_all", _STATE_FIELDS)

    async def _looked(self, path: str, wanted: Sequence[str]) -> Looked:
        answer = await self._connection.read(
            f"/_cluster/state/metadata/{path}",
            {
                "flat_settings": "true",
                "ignore_unavailable": "true",
                "allow_no_indices": "true",
                "expand_wildcards": "all",
                "filter_path": ",".join(
                    ["cluster_name", *(f"metadata.indices.*.{field}" for field in wanted)]
                ),
            },
        )
        with understanding("its indices"):
            answer["cluster_name"]  # an empty object does not mean that there is no such index
            indices = cast(dict[str, Any], answer.get("metadata", {}).get("indices", {}))
            found = {name: index_state(name, mapping(entry)) for name, entry in indices.items()}
            return Looked(found)

    async def look_at_all(self, names: Sequence[IndexName]) -> Looked:
        """`look` for any number of names, as many to a request as a URL holds.

        Several requests at once: 10,000 names are more than a hundred of them, and beside other
        load each waits for its turn.
        """
        asked = iter(chunks(names))
        found = Looked()

        async def ask() -> None:
            for part in asked:
                found.update(await self.look(*part))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LOOKS_AT_ONCE):
                    group.create_task(ask())
        except ExceptionGroup as met:
            raise met.exceptions[0] from None
        return found

    async def alias_properties(self, index: IndexName) -> dict[str, dict[str, Any]]:
        """Every alias of `index` with filter, routing, write and hidden flags as they are now."""
        answer = await self._connection.read(
            f"/{in_path(index)}/_alias", {"expand_wildcards": "all"}
        )
        with understanding(f"the aliases of {index}"):
            found = mapping(answer[index]["aliases"]) if index in answer else {}
            return {name: mapping(properties) for name, properties in found.items()}

    async def task(self, task: str) -> TaskState | None:
        """The task, running or ended with a stored result; None where nobody knows it."""
        path = f"/_tasks/{quote(task, safe=':')}"
        try:
            answer = await self._task(path)
        except ReindexQueueError as error:
            if is_missing(error, "resource_not_found_exception"):
                return None
            raise
        with understanding(f"task {task}"):
            state = TaskState(
                completed=bool(answer["completed"]),
                status=mapping(answer["task"].get("status", {})),
                response=mapping(answer.get("response", {})),
                error=None if answer.get("error") is None else mapping(answer["error"]),
                action=str(answer["task"]["action"]),
                description=str(answer["task"].get("description") or ""),
                started=whole(answer["task"]["start_time_in_millis"]),
                opaque_id=_opaque_id(answer["task"]),
            )
            whole(state.handled)
            return state

    async def _task(self, path: str) -> dict[str, Any]:
        """Where thousands of documents were refused, their reasons may be more than can be read."""
        try:
            return await self._connection.read(path)
        except AnswerTooLarge:
            return await self._connection.read(path, {"filter_path": _WITHOUT_REASONS})

    async def node_ids(self) -> set[str]:
        """The nodes in the cluster now, by the ids that stand in those of their tasks."""
        answer = await self._connection.read("/_nodes/os", {"filter_path": "nodes.*.name"})
        with understanding("its nodes"):
            return set(mapping(answer["nodes"]))

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
            answer = await self._connection.read("/_tasks", query, opaque_id=mark)
            with understanding("its tasks"):
                if not any(_opaque_id(task) == mark for task in answer.get("tasks", ())):
                    return False
        return True

    @property
    def start_seconds(self) -> float:
        """So long after it was sent may a start whose answer was lost still reach Elasticsearch."""
        return self._connection.change_seconds

    async def copies_running(self, opaque_prefix: str = "") -> list[RunningTask]:
        """Running `_reindex` tasks whose `X-Opaque-Id` starts so, slices too.

        Raises `ClusterBusy` where a node did not answer: it may run one.
        """
        answer = await self._connection.read(
            "/_tasks", {"actions": "*reindex", "detailed": "true", "group_by": "none"}
        )
        if answer.get("node_failures") or answer.get("task_failures"):
            raise ClusterBusy("A node did not say which tasks it runs.")
        with understanding("its tasks"):
            tasks = [
                RunningTask(
                    task_id(f"{t['node']}:{t['id']}"),
                    _opaque_id(t),
                    str(t.get("description") or ""),
                    whole(t["start_time_in_millis"]),
                    t.get("parent_task_id"),
                )
                for t in cast(list[dict[str, Any]], answer["tasks"])
            ]
        return [task for task in tasks if task.opaque_id.startswith(opaque_prefix)]


def _opaque_id(task: Mapping[str, Any]) -> str:
    return str(task.get("headers", {}).get("X-Opaque-Id", ""))


def task_id(given: Any) -> str:
    """`node:number`. Raises `ValueError`."""
    if not _TASK_ID.fullmatch(str(given)):
        raise ValueError(given)
    return str(given)
