"""Looking at the shards of indices: what they hold, where they are, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.domain.texts import capped
from app.elastic import decisions
from app.elastic.answers import ShardStats, mapping, whole
from app.elastic.connection import Connection
from app.elastic.paths import chunks, in_path
from app.elastic.translation import understanding


class ShardView:
    """Every method raises `ClusterTrouble` where waiting may help."""

    _connection: Connection

    async def shard_stats(
        self, index: IndexName, *, measured: bool = False
    ) -> dict[int, ShardStats]:
        """The primaries of `index` by number; one that is not active is missing here.

        Elasticsearch measures a shard at most every ten seconds, so that one that was just filled
        may be told to have 227 bytes; `measured`: the files of its segments as they are now are
        added up, too (7.17, 8.19, 9.4).
        """
        files = {"include_segment_file_sizes": "true"} if measured else {}
        metrics = "docs,store,segments" if measured else "docs,store"
        answer = await self._connection.read(
            f"/{in_path(index)}/_stats/{metrics}",
            {"level": "shards", "expand_wildcards": "all", **files},
        )
        with understanding(f"the shards of {index}"):
            return _primaries(answer.get("indices", {}).get(index, {}))

    async def leaders(self, names: Sequence[IndexName]) -> set[str]:
        """Those of `names` that an index of another cluster follows (CCR); none that our user may
        not ask about."""
        found: set[str] = set()
        for part in chunks(names):
            try:
                answer = await self._connection.read(
                    f"/{in_path(*part)}/_stats/docs",
                    {
                        "level": "shards",
                        "expand_wildcards": "all",
                        "ignore_unavailable": "true",
                        "forbid_closed_indices": "false",
                        "filter_path": "indices.*.shards.*.retention_leases.leases.source",
                    },
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
            return decisions.in_words(answer)

    async def _explained(self, index: IndexName, shard: int) -> dict[str, Any] | None:
        """Why a primary is where it is; None where there is none, or our user may not ask."""
        asked = {"index": index, "shard": shard, "primary": True}
        try:
            return await self._connection.read("/_cluster/allocation/explain", None, asked)
        except ClusterRefused:
            return None

    async def active_copies(self, index: IndexName) -> int:
        """Started shard copies of `index`, primaries and replicas together."""
        return await self._health(index, "active_shards")

    async def active_primaries(self, index: IndexName) -> int:
        """Started primaries of `index`, which may be closed."""
        return await self._health(index, "active_primary_shards")

    async def _health(self, index: IndexName, key: str) -> int:
        answer = await self._connection.read(
            f"/_cluster/health/{in_path(index)}", {"expand_wildcards": "all", "timeout": "0s"}
        )
        with understanding(f"the health of {index}"):
            return whole(answer[key])


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
                    whole(copy["docs"]["count"]),
                    whole(copy["seq_no"]["max_seq_no"]),
                    max(whole(copy["store"]["size_in_bytes"]), _files(copy)),
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
    return sum(whole(file["size_in_bytes"]) for file in files.values())
