"""What of a source its empty target would not take, or show otherwise: filters of aliases, and
a few documents that are tried without being written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

from app.domain.compatibility import LAST_WITH_TYPES, UNTYPED
from app.domain.errors import (
    ClusterRefused,
    DocumentsRefused,
    Failure,
    ReindexQueueError,
    WrongKind,
)
from app.domain.failure import counted
from app.domain.formatting import capped
from app.domain.index_settings import has_type
from app.domain.names import IndexName
from app.domain.weights import next_look, together
from app.elastic.answers import Document, IndexState
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
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


MORE_THAN = 1_000
"""Documents: fewer are copied, and refused, while writes have hardly been stopped."""
LEAST_BYTES = 16_000
"""On disk; no index with more documents than that is smaller."""
MOST_DOCUMENTS = 20
"""Of each sort; fewer where they may be heavy."""

_IGNORED: dict[str, Any] = {"exists": {"field": "_ignored"}}
"""Documents with a value that was left out when they came (`ignore_malformed`, `ignore_above`)."""
_REFUSALS = ("document_parsing_exception", "strict_dynamic_mapping_exception")
_TELLS = (8, 12)
_NOT_TRUE_OF = frozenset({"join", "semantic_text"})
"""Types whose documents `_simulate` refuses, or makes anew, for want of their routing."""


async def refuse_documents(source: IndexState, target: IndexState, cluster: Cluster) -> None:
    """Raises `DocumentsRefused` where the target would not take some that the source has.

    Tried are those that are stored first, which the mapping of now has not always been for, and
    some with values that were left out. Elasticsearch says it without writing anything (`_ingest/
    _simulate`, 8.12 and newer); where it does not, or is not asked, the copy finds out.
    """
    try:
        tried = await _sample(source, cluster) if await _is_asked(source, target, cluster) else []
        refused = await cluster.documents.refusals(target.index_name, tried) if tried else []
    except ReindexQueueError:  # of no matter: the copy will tell
        return
    found = [one for one in refused if one.type in _REFUSALS]
    if not found:
        return
    first = found[0]
    raise DocumentsRefused(
        f"{target.name} would refuse {len(found)} of {len(tried)} documents of "
        f"{source.name} that were tried, so nothing was blocked; the first because of "
        f"{first.type}: {first.reason}",
        found,
        counted(one.type for one in found),
    )


async def _is_asked(source: IndexState, target: IndexState, cluster: Cluster) -> bool:
    if source.closed or "index.blocks.read" in source.blocks:
        return False
    if "time_series" in (source.mode, target.mode) or has_type(source.mappings, _NOT_TRUE_OF):
        return False
    return (await cluster.nodes.versions(REMEMBERED_SECONDS))[0].parts >= _TELLS


async def _sample(source: IndexState, cluster: Cluster) -> list[Document]:
    stats = (await cluster.shards.stats(source.index_name)).values()
    on_disk = together(shard.on_disk for shard in stats)
    if on_disk.documents <= MORE_THAN:
        return []
    size = min(MOST_DOCUMENTS, next_look(on_disk, seen=[]))
    pages = await asyncio.gather(
        cluster.documents.find(source.index_name, EVERYTHING, size),
        cluster.documents.find(source.index_name, _IGNORED, size),
    )
    return list({document.id: document for found in pages for document in found.page}.values())


def is_worth_it(primary_bytes: int) -> bool:
    """False for an index that is too small to be asked for its documents."""
    return primary_bytes >= LEAST_BYTES
