"""Looking at the shards of indices: what they hold, where they are, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from app.domain.errors import ClusterRefused
from app.domain.formatting import capped
from app.domain.names import IndexName
from app.elastic.answers import ShardStats, integer, mapping
from app.elastic.connection import Connection, chunks, in_path, raw
from app.elastic.errors import understanding

MOST_NODES = 3
MOST_OF_AN_EXPLANATION = 250

_IN_A_MOMENT = ("yes", "throttled", "awaiting_info", "allocation_delayed")
"""A primary that waits for its turn, or for a node that has only just left."""


class ShardsView:
    """Looks at shards. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def stats(self, index: IndexName, *, measured: bool = False) -> dict[int, ShardStats]:
        """The primaries of `index` by number; one that is not active is missing here.

        Elasticsearch measures a shard at most every ten seconds, so that one that was just filled
        may be told to have 227 bytes; `measured`: the files of its segments as they are now are
        added up, too (7.17, 8.19, 9.4).
        """
        answer = await self._connection.read(
            lambda es: es.indices.stats(
                index=index,
                metric="docs,store,segments" if measured else "docs,store",
                level="shards",
                expand_wildcards="all",
                include_segment_file_sizes=True if measured else None,
            )
        )
        with understanding(f"the shards of {index}"):
            return _primaries(answer.get("indices", {}).get(index, {}))

    async def leaders(self, names: Sequence[IndexName]) -> set[str]:
        """Those of `names` that an index of another cluster follows (CCR); none that our user may
        not ask about."""
        query = {
            "level": "shards",
            "expand_wildcards": "all",
            "ignore_unavailable": "true",
            "forbid_closed_indices": "false",
            "filter_path": "indices.*.shards.*.retention_leases.leases.source",
        }
        found: set[str] = set()
        for part in chunks(names):
            try:
                answer = await self._connection.read(
                    raw("GET", f"/{in_path(*part)}/_stats/docs", query)
                )
            except ClusterRefused:
                continue
            with understanding("the followers of indices"):
                indices = mapping(answer.get("indices", {}))
                found |= {n for n, entry in indices.items() if any(map(_followed, _copies(entry)))}
        return found

    async def lost_for_good(self, index: IndexName, shard: int) -> str | None:
        """Elasticsearch's word that it finds no copy of that primary on any node, or None.

        It says the same while the node that has it is away.
        """
        answer = await self._explained(index, shard)
        if answer is None or answer.get("can_allocate") != "no_valid_shard_copy":
            return None
        return capped(str(answer.get("allocate_explanation", "no valid shard copy")), 500)

    async def why_unassigned(self, index: IndexName, shard: int) -> str | None:
        """Which nodes may not have that primary and why, in words; None where one may soon."""
        answer = await self._explained(index, shard)
        if answer is None:
            return None
        with understanding(f"the shards of {index}"):
            return _in_words(answer)

    async def _explained(self, index: IndexName, shard: int) -> dict[str, Any] | None:
        """Why a primary is where it is; None where there is none, or our user may not ask."""
        try:
            return await self._connection.read(
                lambda es: es.cluster.allocation_explain(index=index, shard=shard, primary=True)
            )
        except ClusterRefused:
            return None

    async def primary_nodes(self, index: IndexName) -> set[str]:
        """The ids of the nodes that hold the primaries of `index`."""
        fields = ("node", "primary")
        answer = await self._connection.read(
            lambda es: es.cluster.state(
                metric="routing_table",
                index=index,
                filter_path=[f"routing_table.indices.*.shards.*.{f}" for f in fields],
            )
        )
        with understanding(f"the shards of {index}"):
            shards = answer.get("routing_table", {}).get("indices", {}).get(index, {})
            copies = [c for number in shards.get("shards", {}).values() for c in number]
            return {str(c["node"]) for c in copies if c.get("primary") and c.get("node")}

    async def active_copies(self, index: IndexName) -> int:
        """Started shard copies of `index`, primaries and replicas together."""
        return await self._health(index, "active_shards")

    async def active_primaries(self, index: IndexName) -> int:
        """Started primaries of `index`, which may be closed."""
        return await self._health(index, "active_primary_shards")

    async def _health(self, index: IndexName, key: str) -> int:
        answer = await self._connection.read(
            lambda es: es.cluster.health(index=index, expand_wildcards="all", timeout="0s")
        )
        with understanding(f"the health of {index}"):
            return integer(answer[key])


def _copies(entry: Mapping[str, Any]) -> Iterator[Any]:
    """Primaries and replicas in the statistics of one index."""
    for copies in mapping(entry.get("shards", {})).values():
        yield from copies


def _primaries(entry: dict[str, Any]) -> dict[int, ShardStats]:
    """The started primaries in the statistics of one index."""
    found: dict[int, ShardStats] = {}
    for number, copies in entry.get("shards", {}).items():
        for copy in copies:
            if copy["routing"]["primary"] and copy["routing"]["state"] == "STARTED":
                found[int(number)] = ShardStats(
                    integer(copy["docs"]["count"]),
                    integer(copy["seq_no"]["max_seq_no"]),
                    max(integer(copy["store"]["size_in_bytes"]), _files(copy)),
                    _followed(copy),
                )
    return found


def _followed(copy: dict[str, Any]) -> bool:
    """Whether something holds its history for a follower (7.17, 8.19, 9.4)."""
    leases = copy.get("retention_leases", {}).get("leases", ())
    return any(lease.get("source") == "ccr" for lease in leases)


def _files(copy: dict[str, Any]) -> int:
    """Bytes of the files of its segments, 0 where they were not asked for."""
    files = copy.get("segments", {}).get("file_sizes", {})
    return sum(integer(file["size_in_bytes"]) for file in files.values())


def _in_words(answer: Mapping[str, Any]) -> str | None:
    """What `_cluster/allocation/explain` says of a primary that no node takes; None where it is
    assigned, or will be. Raises `LookupError`, `TypeError`, `ValueError`."""
    if answer.get("current_state") != "unassigned":
        return None
    if str(answer.get("can_allocate")) in _IN_A_MOMENT:
        return None
    nodes = [
        mapping(node) for node in cast(list[Any], answer.get("node_allocation_decisions") or [])
    ]
    told = [f"{node.get('node_name')}: {reason}" for node in nodes for reason in _refusals(node)]
    if not told:
        general = str(answer.get("allocate_explanation") or "Elasticsearch does not say why")
        return capped(general, MOST_OF_AN_EXPLANATION)
    more = f"; and {len(nodes) - MOST_NODES} nodes more" if len(nodes) > MOST_NODES else ""
    return "; ".join(told[:MOST_NODES]) + more


def _refusals(node: Mapping[str, Any]) -> Iterator[str]:
    """What speaks against a node first: the decider's name, and its sentence."""
    for decider in cast(list[Any], node.get("deciders") or []):
        entry = mapping(decider)
        if entry.get("decision") == "NO":
            why = capped(str(entry.get("explanation")), MOST_OF_AN_EXPLANATION)
            yield f"{entry.get('decider')}: {why}"
            return
