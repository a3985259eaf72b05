"""Counting both sides, by a search and by Lucene, with every primary answering."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.domain import clock
from app.domain.errors import ClusterBusy, DocumentsDiffer, Failure
from app.domain.operation import Operation, Proof
from app.domain.proof import ProofLevel
from app.elastic.answers import Document, IndexState, Looked, Shards, ShardStats
from app.elastic.cluster import Cluster
from app.elastic.documents import EVERYTHING


@dataclass(frozen=True)
class Counted:
    """One side: documents as a search sees them, and its primaries by number.

    `page`: the documents themselves where they were asked for, none otherwise.
    """

    documents: int
    shards: dict[int, ShardStats]
    page: list[Document]

    @property
    def lucene(self) -> int:
        return sum(shard.documents for shard in self.shards.values())

    @property
    def seq_nos(self) -> list[int]:
        """Where each shard ends."""
        return [self.shards[n].max_seq_no for n in sorted(self.shards)]


@dataclass(frozen=True)
class Measured:
    """Both sides, which have the same number of documents, and the proof of that."""

    source: Counted
    target: Counted
    proof: Proof


async def measure(
    operation: Operation, looked: Looked, cluster: Cluster, *, most: int = 0, vectors: bool = False
) -> Measured:
    """Counts both sides; with their documents where there are at most `most`.

    Raises `ClusterBusy` where not every primary answered, `Failure` where the source went on,
    `DocumentsDiffer` where they differ.
    `_stats` is not filtered by document-level security and counts nested children; `_count` is
    what users see.
    """
    names = (operation.source_name, operation.new_index_name)
    source, target = await asyncio.gather(
        *(_count(looked[name], cluster, most, vectors) for name in names)
    )
    if source.seq_nos != operation.source_seq_nos:  # before the counts, which then differ, too
        raise Failure(
            "source_changed",
            f"{names[0]} was written to during the copy although it was blocked; "
            "the copy was dropped. Post the index again.",
        )
    if (source.documents, source.lucene) != (target.documents, target.lucene):
        raise DocumentsDiffer(
            f"{names[0]} has {source.documents} documents ({source.lucene} with nested ones), "
            f"{names[1]} has {target.documents} ({target.lucene}). Both indices were kept: "
            f"{names[0]} is as before. Look at both, then post the index again."
        )
    proof = Proof(
        level=ProofLevel.COUNT,
        documents=source.documents,
        lucene_documents=source.lucene,
        source_seq_nos=source.seq_nos,
        target_seq_nos=target.seq_nos,
        at=clock.now(),
    )
    return Measured(source, target, proof)


async def _count(state: IndexState, cluster: Cluster, most: int, vectors: bool) -> Counted:
    refreshed = await cluster.indices.refresh(state.index_name)
    (documents, shards, page), stats = await asyncio.gather(
        _documents(state, cluster, most, vectors), cluster.shards.stats(state.index_name)
    )
    whole = shards.successful == shards.total == state.shards == len(stats)
    if not whole or shards.failed or refreshed.failed or refreshed.successful < state.shards:
        raise ClusterBusy(f"not every shard of {state.name} answers, so nothing is proven yet")
    return Counted(documents, stats, page)


async def _documents(
    state: IndexState, cluster: Cluster, most: int, vectors: bool
) -> tuple[int, Shards, list[Document]]:
    """One search in place of the count: for a small index it costs nothing."""
    if not most:
        return *await cluster.documents.count(state.index_name), []
    found = await cluster.documents.find(state.index_name, EVERYTHING, most, with_vectors=vectors)
    return found.total, found.shards, found.page
