"""The nodes of a cluster: their versions, how they do, and how much room they have."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.domain.disk import Capacity, Disk, Watermark
from app.domain.errors import ClusterBusy, ClusterRefused
from app.elastic.answers import NodeVitals, Version, Vitals, integer, mapping
from app.elastic.connection import Connection
from app.elastic.errors import understanding

ANSWER_TIME = "2s"
"""A node that takes longer is left out of the answer, rather than waited for."""

_METRICS = "breaker,indexing_pressure,jvm,os,thread_pool"
_FIELDS = (
    "name",
    "os.cpu.percent",
    "jvm.mem.heap_max_in_bytes",
    "jvm.mem.pools.old",
    "breakers.*.tripped",
    "indexing_pressure.memory",
    "thread_pool.write.rejected",
    "thread_pool.search.rejected",
    "thread_pool.search.queue",
)
_HEALTH = ("status", "number_of_pending_tasks", "task_max_waiting_in_queue_millis")

_DISK = "cluster.routing.allocation.disk"
_SHARDS = "cluster.max_shards_per_node"
_REST = "search.max_keep_alive"
_TIME = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class NodesView:
    """Looks at nodes. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> Version:
        answer = await self._connection.read(lambda es: es.info())
        with understanding("its version"):
            number = str(answer["version"]["number"])
            int(number.split(".")[0])
            return Version(number)

    async def cluster_uuid(self) -> str:
        """What the cluster called itself when it was formed; it stays over upgrades.

        Raises `ClusterBusy` where it has not formed yet (`_na_`, 7.17 to 9.4).
        """
        answer = await self._connection.read(lambda es: es.info())
        with understanding("its UUID"):
            found = str(answer["cluster_uuid"])
        if found == "_na_":
            raise ClusterBusy("The cluster has no master that its nodes agree on yet.")
        return found

    async def versions(self, remembered: float = 0.0) -> list[Version]:
        """The versions of all nodes, oldest first; at most `remembered` seconds old."""
        return await self._connection.memory.recall("versions", remembered, self._ask_versions)

    async def _ask_versions(self) -> list[Version]:
        answer = await self._connection.read(
            lambda es: es.nodes.info(metric="os", filter_path="nodes.*.version")
        )
        with understanding("the versions of its nodes"):
            found = {str(node["version"]) for node in answer["nodes"].values()}
            versions = sorted((Version(number) for number in found), key=lambda v: v.parts)
            versions[0]  # one at least has answered
            return versions

    async def ids(self) -> set[str]:
        """The nodes in the cluster now, by the ids that stand in those of their tasks."""
        answer = await self._connection.read(
            lambda es: es.nodes.info(metric="os", filter_path="nodes.*.name")
        )
        with understanding("its nodes"):
            return set(mapping(answer["nodes"]))

    async def vitals(self) -> Vitals:
        """Two requests. What an answer lacks is None. Raises any domain error of the cluster's."""
        stats, health = await asyncio.gather(
            self._connection.read(
                lambda es: es.nodes.stats(
                    metric=_METRICS,
                    timeout=ANSWER_TIME,
                    filter_path=[f"nodes.*.{field}" for field in _FIELDS],
                )
            ),
            self._connection.read(
                lambda es: es.cluster.health(timeout=ANSWER_TIME, filter_path=_HEALTH)
            ),
        )
        with understanding("the health of its nodes"):
            nodes = cast(Mapping[str, Any], stats.get("nodes") or {})
            waited = _number(health, "task_max_waiting_in_queue_millis")
            return Vitals(
                nodes={node_id: _node(node) for node_id, node in nodes.items()},
                status=health.get("status"),
                pending=_count(health, "number_of_pending_tasks"),
                waited=None if waited is None else waited / 1000,
            )

    async def smallest_heap(self, remembered: float = 0.0) -> int | None:
        """Bytes of the smallest heap of a node; None where none tells. At most `remembered` seconds
        old. Any node may run a copy's task, so masters count as well.
        """
        return await self._connection.memory.recall("heap", remembered, self._ask_heaps)

    async def _ask_heaps(self) -> int | None:
        heap = "jvm.mem.heap_max_in_bytes"
        try:
            answer = await self._connection.read(
                lambda es: es.nodes.info(
                    metric="jvm", timeout=ANSWER_TIME, filter_path=f"nodes.*.{heap}"
                )
            )
        except ClusterRefused:
            return None
        with understanding("the heaps of its nodes"):
            nodes = cast(Mapping[str, Any], answer.get("nodes") or {})
            return min((n for node in nodes.values() if (n := _count(node, heap))), default=None)

    async def uptime(self, node: str) -> float | None:
        """Seconds since the process of that node started; None where there is no such node."""
        answer = await self._connection.read(
            lambda es: es.nodes.stats(
                node_id=node,
                metric="jvm",
                timeout=ANSWER_TIME,
                filter_path="nodes.*.jvm.uptime_in_millis",
            )
        )
        with understanding("the uptime of a node"):
            nodes = cast(Mapping[str, Any], answer.get("nodes") or {})
            millis = _number(nodes.get(node), "jvm.uptime_in_millis")
            return None if millis is None else millis / 1000

    async def capacity(self, remembered: float = 0.0) -> Capacity:
        """The data nodes' disks and what limits their use, at most `remembered` seconds old."""
        return await self._connection.memory.recall("capacity", remembered, self._ask_capacity)

    async def _ask_capacity(self) -> Capacity:
        nodes, settings, health = await asyncio.gather(
            self._connection.read(
                lambda es: es.nodes.stats(
                    node_id="data:true",
                    metric="fs",
                    filter_path="nodes.*.name,nodes.*.roles,nodes.*.fs.total",
                )
            ),
            self._settings(0.0),
            self._connection.read(lambda es: es.cluster.health(timeout="0s")),
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
        wanted = [f"*.{key}" for key in (_DISK, _SHARDS, _REST)]
        answer = await self._connection.read(
            lambda es: es.cluster.get_settings(include_defaults=True, filter_path=wanted)
        )
        with understanding("its settings"):
            return _in_force(answer)


def _node(node: Mapping[str, Any]) -> NodeVitals:
    pressure = "indexing_pressure.memory"
    cpu = _number(node, "os.cpu.percent")
    return NodeVitals(
        name=str(node.get("name", "a node")),
        cpu=None if cpu is None or cpu < 0 else cpu / 100,
        heap=_share(node, "jvm.mem.pools.old.used_in_bytes", "jvm.mem.heap_max_in_bytes"),
        breaker_trips=_trips(node),
        pressure=_share(node, f"{pressure}.current.all_in_bytes", f"{pressure}.limit_in_bytes"),
        pressure_rejections=_sum(
            node,
            f"{pressure}.total.coordinating_rejections",
            f"{pressure}.total.primary_rejections",
            f"{pressure}.total.replica_rejections",
        ),
        write_rejections=_count(node, "thread_pool.write.rejected"),
        search_rejections=_count(node, "thread_pool.search.rejected"),
        searches_waiting=_count(node, "thread_pool.search.queue"),
    )


def _trips(node: Mapping[str, Any]) -> int | None:
    """Of all its breakers; None where it tells of none."""
    breakers = cast(Mapping[str, Any], node.get("breakers") or {})
    trips = [_count(breaker, "tripped") for breaker in breakers.values()]
    return sum(trip or 0 for trip in trips) if trips else None


def _number(found: Any, path: str) -> float | None:
    """The number at a dotted path; None where there is none."""
    for key in path.split("."):
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def _count(found: Any, path: str) -> int | None:
    number = _number(found, path)
    return None if number is None else int(number)


def _sum(found: Any, *paths: str) -> int | None:
    numbers = [number for path in paths if (number := _count(found, path)) is not None]
    return sum(numbers) if numbers else None


def _share(found: Any, part: str, whole: str) -> float | None:
    """`part` of `whole`; None where one is not told, or the whole has no size."""
    used, most = _number(found, part), _number(found, whole)
    return used / most if used is not None and most is not None and most > 0 else None


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
            total=integer(entry["fs"]["total"]["total_in_bytes"]),
            available=integer(entry["fs"]["total"]["available_in_bytes"]),
        )
        for node, entry in cast(dict[str, Any], nodes.get("nodes", {})).items()
        if "fs" in entry and _takes_copies(entry["roles"])
    ]
    waiting = integer(health["initializing_shards"]) + integer(health["unassigned_shards"])
    return Capacity(
        disks=disks,
        checked=settings.get(f"{_DISK}.threshold_enabled") != "false",
        low=_mark(settings, "low"),
        high=_mark(settings, "high"),
        shards=integer(health["active_shards"]) + waiting,
        most_shards=int(settings[_SHARDS]) * len(disks),
    )


def _takes_copies(roles: Sequence[str]) -> bool:
    """False for a node of the frozen tier alone: it has marks and a shard limit of its own."""
    return any(role.startswith("data") and role != "data_frozen" for role in roles)


def _mark(settings: Mapping[str, str], name: str) -> Watermark:
    key = f"{_DISK}.watermark.{name}"
    return Watermark.of(settings[key], settings.get(f"{key}.max_headroom"))
