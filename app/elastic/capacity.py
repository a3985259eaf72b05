"""How large indices are, and how much room the nodes have."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.domain.disk import Capacity, Disk, Watermark
from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.elastic.answers import IndexSize, whole
from app.elastic.connection import Connection
from app.elastic.paths import chunks, in_path
from app.elastic.translation import understanding

MOST_PARTS = 5
"""So many requests at most ask for indices by name; beyond that one asks for all of them."""
_DISK = "cluster.routing.allocation.disk"
_SHARDS = "cluster.max_shards_per_node"
_REST = "search.max_keep_alive"
_TIME = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class CapacityView:
    """A part of `ClusterView`."""

    _connection: Connection

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
        answer = await self._connection.read(
            f"/{path}/_stats/docs,store",
            {
                "expand_wildcards": "all",
                "ignore_unavailable": "true",
                "forbid_closed_indices": "false",
                "filter_path": ",".join(
                    ["_shards", *(f"indices.*.primaries.{field}" for field in fields)]
                ),
            },
        )
        with understanding("the sizes of its indices"):
            answer["_shards"]
            found = cast(dict[str, Any], answer.get("indices", {}))
            return {
                name: IndexSize(
                    whole(entry["primaries"]["docs"]["count"]),
                    whole(entry["primaries"]["store"]["size_in_bytes"]),
                )
                for name, entry in found.items()
                if "docs" in entry.get("primaries", {})
            }

    async def primary_nodes(self, index: IndexName) -> set[str]:
        """The ids of the nodes that hold the primaries of `index`."""
        fields = ("node", "primary")
        answer = await self._connection.read(
            f"/_cluster/state/routing_table/{in_path(index)}",
            {"filter_path": ",".join(f"routing_table.indices.*.shards.*.{f}" for f in fields)},
        )
        with understanding(f"the shards of {index}"):
            shards = answer.get("routing_table", {}).get("indices", {}).get(index, {})
            copies = [c for number in shards.get("shards", {}).values() for c in number]
            return {str(c["node"]) for c in copies if c.get("primary") and c.get("node")}

    async def capacity(self, remembered: float = 0.0) -> Capacity:
        """The data nodes' disks and what limits their use, at most `remembered` seconds old."""
        return await self._connection.memory.recall("capacity", remembered, self._ask_capacity)

    async def _ask_capacity(self) -> Capacity:
        nodes, settings, health = await asyncio.gather(
            self._connection.read(
                "/_nodes/data:true/stats/fs",
                {"filter_path": "nodes.*.name,nodes.*.roles,nodes.*.fs.total"},
            ),
            self._settings(0.0),
            self._connection.read("/_cluster/health", {"timeout": "0s"}),
        )
        with understanding("the disks of its nodes"):
            return _capacity(nodes, settings, health)

    async def longest_rest(self, remembered: float) -> float | None:
        """Seconds that a search context may rest at most (`search.max_keep_alive`, 24 hours unless
        somebody lowered it); None where the cluster does not tell. At most `remembered` seconds
        old: it is asked for together with what limits the disks.
        """
        try:
            found = (await self._settings(remembered)).get(_REST)
        except ClusterRefused:
            return None
        match = _TIME.fullmatch(found or "")
        return int(match[1]) * _SECONDS[match[2]] if match else None

    async def _settings(self, remembered: float) -> dict[str, str]:
        """Those of the cluster that are read anywhere, by their dotted names."""
        return await self._connection.memory.recall("settings", remembered, self._ask_settings)

    async def _ask_settings(self) -> dict[str, str]:
        wanted = ",".join(f"*.{key}" for key in (_DISK, _SHARDS, _REST))
        answer = await self._connection.read(
            "/_cluster/settings", {"include_defaults": "true", "filter_path": wanted}
        )
        with understanding("its settings"):
            return _in_force(answer)


def _in_force(answer: Mapping[str, Any]) -> dict[str, str]:
    """Settings by their dotted names; what was set wins over the defaults."""
    found: dict[str, str] = {}
    for kind in ("defaults", "persistent", "transient"):
        found |= _flat(answer.get(kind, {}))
    return found


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(cast(Mapping[str, Any], value), f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value)
    return found


def _capacity(
    nodes: Mapping[str, Any], settings: Mapping[str, str], health: Mapping[str, Any]
) -> Capacity:
    disks = [
        Disk(
            node=node,
            name=str(entry["name"]),
            roles=frozenset(entry["roles"]),
            total=whole(entry["fs"]["total"]["total_in_bytes"]),
            available=whole(entry["fs"]["total"]["available_in_bytes"]),
        )
        for node, entry in cast(dict[str, Any], nodes.get("nodes", {})).items()
        if "fs" in entry and _takes_copies(entry["roles"])
    ]
    waiting = whole(health["initializing_shards"]) + whole(health["unassigned_shards"])
    return Capacity(
        disks=disks,
        checked=settings.get(f"{_DISK}.threshold_enabled") != "false",
        low=_mark(settings, "low"),
        high=_mark(settings, "high"),
        shards=whole(health["active_shards"]) + waiting,
        most_shards=int(settings[_SHARDS]) * len(disks),
    )


def _takes_copies(roles: Sequence[str]) -> bool:
    """False for a node of the frozen tier alone: it has marks and a shard limit of its own."""
    return any(role.startswith("data") and role != "data_frozen" for role in roles)


def _mark(settings: Mapping[str, str], name: str) -> Watermark:
    key = f"{_DISK}.watermark.{name}"
    return Watermark.of(settings[key], settings.get(f"{key}.max_headroom"))
