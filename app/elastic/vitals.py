"""How the cluster does: load, memory and queues of its nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.elastic.answers import NodeVitals, Vitals, whole
from app.elastic.documents import DocumentView
from app.elastic.paths import in_path
from app.elastic.translation import understanding

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


class VitalsView(DocumentView):
    async def vitals(self) -> Vitals:
        """Two requests. What an answer lacks is None. Raises any domain error of the cluster's."""
        stats, health = await asyncio.gather(
            self._connection.read(
                f"/_nodes/stats/{_METRICS}",
                {
                    "timeout": ANSWER_TIME,
                    "filter_path": ",".join(f"nodes.*.{field}" for field in _FIELDS),
                },
            ),
            self._connection.read(
                "/_cluster/health",
                {
                    "timeout": ANSWER_TIME,
                    "filter_path": "status,number_of_pending_tasks,"
                    "task_max_waiting_in_queue_millis",
                },
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
                "/_nodes/jvm", {"timeout": ANSWER_TIME, "filter_path": f"nodes.*.{heap}"}
            )
        except ClusterRefused:
            return None
        with understanding("the heaps of its nodes"):
            nodes = cast(Mapping[str, Any], answer.get("nodes") or {})
            return min((n for node in nodes.values() if (n := _count(node, heap))), default=None)

    async def uptime(self, node: str) -> float | None:
        """Seconds since the process of that node started; None where there is no such node."""
        answer = await self._connection.read(
            f"/_nodes/{quote(node, safe='')}/stats/jvm",
            {"timeout": ANSWER_TIME, "filter_path": "nodes.*.jvm.uptime_in_millis"},
        )
        with understanding("the uptime of a node"):
            nodes = cast(Mapping[str, Any], answer.get("nodes") or {})
            millis = _number(nodes.get(node), "jvm.uptime_in_millis")
            return None if millis is None else millis / 1000

    async def search_seconds(self, index: IndexName) -> float:
        """How long a plain search of that index or alias takes, by Elasticsearch's own `took`.

        That counts the wait for a search thread as well, but nothing of this service. Raises any
        domain error of the cluster's.
        """
        answer = await self._connection.read(
            f"/{in_path(index)}/_search", {"size": "10", "request_cache": "false"}
        )
        with understanding(f"a search of {index}"):
            return whole(answer["took"]) / 1000


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
