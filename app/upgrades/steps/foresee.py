"""A few documents of a source, tried on the empty target without being written to it."""

from __future__ import annotations

import asyncio
from typing import Any

from app.domain.errors import DocumentsRefused, ReindexQueueError
from app.domain.failure import counted
from app.domain.mappings import has_type
from app.domain.weights import next_look, together
from app.elastic.answers import Document, IndexState
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING

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
        f"{source.name} that were tried, so nothing was blocked; the first ({first.id}) because of "
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
