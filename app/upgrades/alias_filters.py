"""Filters of aliases that the new index would not take, or under which it would show other
documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from app.domain.errors import ClusterRefused, Failure, WrongKind
from app.domain.names import IndexName
from app.domain.texts import capped
from app.domain.warnings import LAST_WITH_TYPES, UNTYPED
from app.elastic.answers import IndexState
from app.elastic.cluster import ClusterView
from app.elastic.connection import REMEMBERED_SECONDS
from app.upgrades.steps.identity import named

CODE = "alias_filter"
_SHOWN = 300

Properties = Mapping[str, Mapping[str, Any]]


async def refuse_filters(source: IndexState, target: IndexState, cluster: ClusterView) -> None:
    """Raises `Failure` for the first alias of `source` whose filter `target` cannot get.

    An alias keeps a filter from before an upgrade, but none is added with it any more: the swap
    would be refused (8.19). A metadata block lets nobody look at aliases.
    """
    if not named(source.aliases) or "index.blocks.metadata" in source.blocks:
        return
    aliases = await cluster.aliases.properties(source.index_name)
    major = (await cluster.nodes.versions(REMEMBERED_SECONDS))[0].major
    filters = Filters(cluster, major)
    if fault := await filters.fault(aliases, source.name, source.mapping_type, target.index_name):
        raise Failure(fault.code, fault.message)


class Filters:
    """What is wrong with filters. One that is well is asked for once, whatever index it is of."""

    def __init__(self, cluster: ClusterView, major: int) -> None:
        self._cluster = cluster
        self._major = major
        self._well: set[str] = set()

    async def fault(
        self, aliases: Properties, source: str, mapping_type: str, tried_on: IndexName
    ) -> WrongKind | None:
        """The first alias that the new index of `source` cannot get. `tried_on`: an open index with
        the mapping that the filters are parsed for."""
        for alias in named(aliases):
            query = aliases[alias].get("filter")
            if query is None:
                continue
            written = json.dumps(query, ensure_ascii=False)
            why = self._of_types(query, mapping_type)
            if why is None and written not in self._well:
                why = await self._parsed(query, tried_on)
                self._well |= set() if why else {written}
            if why:
                return WrongKind(
                    CODE,
                    f"The alias {alias} of {source} has a filter that its new index cannot have: "
                    f"{capped(written, _SHOWN)} ({why}). Give {alias} another filter, or take it "
                    "off, by POST _aliases, then post the index again.",
                )
        return None

    async def _parsed(self, query: Any, index: IndexName) -> str | None:
        try:
            return await self._cluster.documents.query_fault(index, query)
        except ClusterRefused:  # it is closed, or our user may not ask
            return None

    def _of_types(self, query: Any, mapping_type: str) -> str | None:
        """Why it would show other documents. Only 7.17 knows types: 8.x finds nothing by them in
        the old index either."""
        if mapping_type == UNTYPED or self._major > LAST_WITH_TYPES or not _asks_for_type(query):
            return None
        return f"the mapping type {mapping_type} becomes {UNTYPED}"


_CLAUSES = frozenset(
    {"filter", "must", "must_not", "negative", "positive", "queries", "query", "should"}
)
"""Under one of these a key is the name of a query, and not of a field."""


def _asks_for_type(query: Any, under: str = "query") -> bool:
    """By the field `_type`, or by the query `type`; a field may be called `type`, too."""
    if isinstance(query, Mapping):
        return any(
            key == "_type" or (key == "type" and under in _CLAUSES) or _asks_for_type(value, key)
            for key, value in cast(Mapping[str, Any], query).items()
        )
    if isinstance(query, list):
        return any(_asks_for_type(value, under) for value in cast(list[Any], query))
    return isinstance(query, str) and (query == "_type" or "_type:" in query)
