"""The indices of a cluster and their aliases: what they are, how large, and what is done to
them. The swap is one call of these."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.names import IndexName
from app.elastic.answers import IndexSize, Looked, Shards, index_state, integer, mapping
from app.elastic.connection import ACKNOWLEDGED, ChangingCalls, Connection, chunks, in_path, raw
from app.elastic.errors import understanding

Properties = Mapping[str, Mapping[str, Any]]
"""By alias: its filter, routing, write and hidden flags."""


class AliasesView:
    """Looks at aliases. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def properties(self, index: IndexName) -> dict[str, dict[str, Any]]:
        """Every alias of `index` with filter, routing, write and hidden flags as they are now."""
        answer = await self._connection.read(
            lambda es: es.indices.get_alias(index=index, expand_wildcards="all")
        )
        with understanding(f"the aliases of {index}"):
            found = mapping(answer[index]["aliases"]) if index in answer else {}
            return {name: mapping(properties) for name, properties in found.items()}

    async def of(self, names: Sequence[IndexName]) -> dict[str, dict[str, Any]]:
        """By index: its aliases with their properties. A metadata block refuses all of them."""
        found: dict[str, dict[str, Any]] = {}
        for part in chunks(names):
            answer = await self._asked(part)
            found |= {
                index: dict(entry["aliases"])
                for index, entry in answer.items()
                if "aliases" in entry
            }
        return found

    async def _asked(self, names: Sequence[IndexName]) -> dict[str, Any]:
        return await self._connection.read(
            lambda es: es.indices.get_alias(
                index=list(names), expand_wildcards="all", ignore_unavailable=True
            )
        )


class Aliases(AliasesView):
    """Looks at aliases and changes them."""

    def __init__(self, connection: Connection, changes: ChangingCalls) -> None:
        super().__init__(connection)
        self._changes = changes

    async def take(self, index: IndexName, aliases: Sequence[str]) -> None:
        """Takes `aliases` off `index`."""
        await self._update(
            Note(what=EventKind.ALIASES_REMOVED, index=index, before=list(aliases), after=[]),
            {"remove": {"index": index, "aliases": list(aliases)}},
        )

    async def put_marker(self, index: IndexName, marker: IndexName) -> None:
        """Puts a hidden marker alias on the index that is to survive a removal."""
        await self._update(
            Note(what=EventKind.MARKER_PUT_ON, index=index, after=marker),
            {"add": {"index": index, "alias": marker, "is_hidden": True}},
        )

    async def remove_guarded(
        self,
        victim: IndexName,
        survivor: IndexName,
        marker: IndexName,
        aliases: Properties | None = None,
    ) -> None:
        """Removes the index `victim` and gives `survivor` the aliases, if and only if it has the
        marker.

        One `_aliases` call, which the master applies whole or not at all: where the survivor is
        gone, or is another index of that name, the marker is not there, the call answers 404 and
        the victim stays (measured on 7.17, 8.19 and 9.4). A bare DELETE is never sent.
        """
        await self._update(
            Note(
                what=EventKind.INDEX_REMOVED,
                index=victim,
                before=victim,
                after={"aliases": aliases},
            ),
            {"remove": {"index": survivor, "alias": marker, "must_exist": True}},
            {"remove_index": {"index": victim}},
            *_given(survivor, aliases or {}),
        )

    async def move(
        self, source: IndexName, target: IndexName, marker: IndexName, aliases: Properties
    ) -> None:
        """Takes `aliases` off `source` and gives them to `target`, all at once or not at all, if
        and only if `target` has the marker."""
        await self._update(
            Note(what=EventKind.ALIASES_MOVED, index=target, before=source, after=dict(aliases)),
            {"remove": {"index": target, "alias": marker, "must_exist": True}},
            *({"remove": {"index": source, "alias": name, "must_exist": True}} for name in aliases),
            *_given(target, aliases),
        )

    async def _update(self, note: Note, *actions: Mapping[str, Any]) -> None:
        await self._changes.send(
            note, lambda es: es.indices.update_aliases(actions=list(actions), **ACKNOWLEDGED)
        )


def _given(index: IndexName, aliases: Properties) -> list[dict[str, Any]]:
    """The actions that give `index` those aliases."""
    return [
        {"add": {"index": index, "alias": name, **properties}}
        for name, properties in aliases.items()
    ]


CREATION_SECONDS = 5.0
"""So long is the answer for a new index awaited before it is looked for."""

LOOKS_AT_ONCE = 6
MOST_PARTS = 5
"""So many requests at most ask for indices by name; beyond that one asks for all of them."""

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


class IndicesView:
    """Looks at indices. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def look(self, *names: IndexName, mappings: bool = False) -> Looked:
        """The concrete indices behind `names`, from the master's cluster state.

        The cluster state answers where `GET /{index}` does not: for closed indices, under a
        `metadata` block, and beside names that do not exist (measured on 8.19). An alias among
        the names brings in its indices.
        """
        wanted = (*_STATE_FIELDS[:-1], "mappings") if mappings else _STATE_FIELDS
        return await self._looked(names, wanted)

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

    async def look_at_everything(self) -> Looked:
        """Every index of the cluster: one request, a second for 2,000 of them at most (8.19)."""
        return await self._looked(("_all",), _STATE_FIELDS)

    async def mapping_types(self, names: Sequence[IndexName]) -> dict[str, str]:
        """The type that the mapping of each index is under, where it has any fields (7.17)."""
        found: dict[str, str] = {}
        for part in chunks(names):
            looked = await self._looked(part, (*_STATE_FIELDS[:-1], _TYPES))
            found |= {name: state.mapping_type for name, state in looked.items()}
        return found

    async def _looked(self, names: Sequence[str], wanted: Sequence[str]) -> Looked:
        answer = await self._connection.read(
            lambda es: es.cluster.state(
                metric="metadata",
                index=list(names),
                flat_settings=True,
                ignore_unavailable=True,
                allow_no_indices=True,
                expand_wildcards="all",
                filter_path=["cluster_name", *(f"metadata.indices.*.{field}" for field in wanted)],
            )
        )
        with understanding("its indices"):
            answer["cluster_name"]  # an empty object does not mean that there is no such index
            indices = cast(dict[str, Any], answer.get("metadata", {}).get("indices", {}))
            found = {name: index_state(name, mapping(entry)) for name, entry in indices.items()}
            return Looked(found)

    async def effective_setting(self, index: IndexName, key: str) -> str | None:
        """A setting's value, its default for that index included; None where it is unknown."""
        answer = await self._connection.read(
            lambda es: es.indices.get_settings(
                index=index, flat_settings=True, include_defaults=True, expand_wildcards="all"
            )
        )
        with understanding(f"the settings of {index}"):
            entry = answer[index]
            value = entry["settings"].get(key, entry.get("defaults", {}).get(key))
            return None if value is None else str(value)

    async def data_streams(self) -> dict[str, list[str]]:
        """Every data stream with its backing indices; empty where the cluster has none."""
        answer = await self._connection.read(
            lambda es: es.cluster.state(
                metric="metadata",
                index=".rq-no-index",
                ignore_unavailable=True,
                allow_no_indices=True,
                filter_path="metadata.data_stream.data_stream.*.indices.index_name",
            )
        )
        with understanding("its data streams"):
            found = answer.get("metadata", {}).get("data_stream", {}).get("data_stream", {})
            return {
                name: [str(index["index_name"]) for index in stream.get("indices", ())]
                for name, stream in cast(dict[str, Any], found).items()
            }

    async def sizes(self, names: Sequence[IndexName]) -> dict[str, IndexSize]:
        """Those of `names` that have a size now: closed ones of 7.17 do not tell.

        One metadata block among few of them refuses the whole question. Raises `ClusterRefused`.
        """
        parts = [in_path(*part) for part in chunks(names)]
        found: dict[str, IndexSize] = {}
        if len(parts) <= MOST_PARTS:
            for part in parts:
                found |= await self._sizes(part)
        else:
            try:
                found = await self._sizes("_all")
            except ClusterRefused:  # one index anywhere may have the block
                for part in parts:
                    with contextlib.suppress(ClusterRefused):
                        found |= await self._sizes(part)
        wanted = frozenset(names)
        return {name: size for name, size in found.items() if name in wanted}

    async def _sizes(self, path: str) -> dict[str, IndexSize]:
        fields = ("docs.count", "store.size_in_bytes")
        query = {
            "expand_wildcards": "all",
            "ignore_unavailable": "true",
            "forbid_closed_indices": "false",
            "filter_path": ",".join(
                ["_shards", *(f"indices.*.primaries.{field}" for field in fields)]
            ),
        }
        answer = await self._connection.read(raw("GET", f"/{path}/_stats/docs,store", query))
        with understanding("the sizes of its indices"):
            answer["_shards"]
            found = cast(dict[str, Any], answer.get("indices", {}))
            return {
                name: IndexSize(
                    integer(entry["primaries"]["docs"]["count"]),
                    integer(entry["primaries"]["store"]["size_in_bytes"]),
                )
                for name, entry in found.items()
                if "docs" in entry.get("primaries", {})
            }


class Indices(IndicesView):
    """Looks at indices and changes them."""

    def __init__(self, connection: Connection, changes: ChangingCalls) -> None:
        super().__init__(connection)
        self._changes = changes

    async def block_writes(self, index: IndexName) -> None:
        """Adds the write block and waits until no write is in flight (8.19: also verifies it)."""
        await self._changes.send(
            Note(what=EventKind.WRITE_BLOCK_ADDED, index=index),
            lambda es: es.indices.add_block(index=index, block="write", **ACKNOWLEDGED),
        )

    async def put_settings(
        self, index: IndexName, settings: Mapping[str, Any], before: Mapping[str, Any]
    ) -> None:
        """Sets flat settings; None takes one away. `before` is only for the event."""
        after = dict(settings)
        await self._changes.send(
            Note(what=EventKind.SETTINGS_CHANGED, index=index, before=dict(before), after=after),
            lambda es: es.indices.put_settings(
                index=index, settings=after, expand_wildcards="all", **ACKNOWLEDGED
            ),
        )

    async def open(self, index: IndexName) -> None:
        await self._changes.send(
            Note(what=EventKind.INDEX_OPENED, index=index, before="closed", after="open"),
            lambda es: es.indices.open(index=index, wait_for_active_shards=0, **ACKNOWLEDGED),
        )

    async def close(self, index: IndexName) -> None:
        await self._changes.send(
            Note(what=EventKind.INDEX_CLOSED, index=index, before="open", after="closed"),
            lambda es: es.indices.close(index=index, wait_for_active_shards=0, **ACKNOWLEDGED),
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
        note = Note(what=EventKind.TARGET_CREATED, index=target, after=dict(settings))
        path = f"/_create_from/{in_path(source)}/{in_path(target)}"
        request = raw("POST", path, body=overrides)
        answered = asyncio.ensure_future(self._changes.send(note, request))
        try:
            while not (await asyncio.wait([answered], timeout=CREATION_SECONDS))[0]:
                if target in await self.look(target):
                    self._changes.note(note)
                    return
            answered.result()
        finally:
            answered.cancel()
            await asyncio.gather(answered, return_exceptions=True)

    async def create(
        self, target: IndexName, settings: Mapping[str, Any], mappings: Mapping[str, Any]
    ) -> None:
        """Creates an empty `target`; for clusters before 8.18. None must not be among `settings`:
        7.17 stores it as a literal null."""
        await self._changes.send(
            Note(what=EventKind.TARGET_CREATED, index=target, after=dict(settings)),
            lambda es: es.indices.create(
                index=target,
                settings=dict(settings),
                mappings=dict(mappings) if mappings else None,
                master_timeout=ACKNOWLEDGED["master_timeout"],
                timeout=f"{CREATION_SECONDS:g}s",
            ),
        )

    async def put_dynamic(self, index: IndexName, mappings: Mapping[str, Any]) -> None:
        """Merges a part of a mapping that sets `dynamic` of some objects."""
        after = dict(mappings)
        await self._changes.send(
            Note(what=EventKind.MAPPING_CHANGED, index=index, after=after),
            lambda es: es.indices.put_mapping(index=index, body=after, **ACKNOWLEDGED),
        )

    async def clone(self, source: IndexName, kept: IndexName, settings: Mapping[str, Any]) -> None:
        """Clones a write-blocked index by hard links where the disk knows them: open, with the
        block, without aliases; templates do not apply (7.17, 8.19, 9.4)."""
        path = f"/{in_path(source)}/_clone/{in_path(kept)}"
        await self._changes.send(
            Note(what=EventKind.OLD_INDEX_CLONED, index=kept, before=source, after=dict(settings)),
            raw("POST", path, ACKNOWLEDGED, {"settings": dict(settings)}),
        )

    async def refresh(self, index: IndexName) -> Shards:
        """Makes every document searchable; works under a write block."""
        answer = await self._connection.change(lambda es: es.indices.refresh(index=index))
        with understanding(f"the refresh of {index}"):
            return Shards.of(answer)

    async def flush(self, index: IndexName) -> None:
        await self._connection.change(lambda es: es.indices.flush(index=index))
