"""Aliases: what they are, and how names move from index to index. The swap is one call of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.events import EventKind, Note
from app.domain.names import IndexName
from app.elastic.answers import mapping
from app.elastic.connection import ACKNOWLEDGED, Changes, Connection, chunks
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

    def __init__(self, connection: Connection, changes: Changes) -> None:
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
