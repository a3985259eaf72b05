"""Snapshots: those that run, are due, or were taken. Nothing here changes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from app.domain.errors import ClusterRefused
from app.elastic.answers import integer, mapping
from app.elastic.connection import Connection
from app.elastic.errors import understanding

PAGE, MOST_PAGES = 20, 50
"""Snapshots to a page: each lists all of its indices, in a large cluster some 300 kB."""


@dataclass(frozen=True)
class RunningSnapshot:
    """`started`: milliseconds by the master's clock, as everything here."""

    name: str
    repository: str
    started: int
    indices: frozenset[str]

    def __str__(self) -> str:
        return f"{self.repository}/{self.name}"


@dataclass(frozen=True)
class SnapshotPolicy:
    """`due`: when it takes a snapshot next. `patterns` empty: of every index."""

    name: str
    due: int
    patterns: tuple[str, ...]

    def covers(self, names: Sequence[str]) -> bool:
        """True where it takes an index that has these names, aliases among them.

        A pattern that begins with `-` leaves out what those before it have taken. One with a date
        in it (`<logs-{now/d}>`) may take anything.
        """
        covered = not self.patterns
        for pattern in self.patterns:
            if pattern.startswith("-") and covered:
                covered = not _fits(pattern[1:], names)
            elif pattern == "_all" or pattern.startswith("<") or _fits(pattern, names):
                covered = True
        return covered


def _fits(pattern: str, names: Sequence[str]) -> bool:
    escaped = pattern.replace("[", "[[]").replace("?", "[?]")  # only * means something
    return any(fnmatchcase(name, escaped) for name in names)


class SnapshotsView:
    """Each question raises `ClusterRefused` where our user may not ask."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def master_clock(self) -> int:
        """Now, in milliseconds, on the master: it times all snapshots."""
        answer = await self._connection.read(
            lambda es: es.nodes.stats(
                node_id="_master", metric="process", filter_path="nodes.*.timestamp"
            )
        )
        with understanding("its clock"):
            (node,) = mapping(answer["nodes"]).values()
            return integer(node["timestamp"])

    async def running(self, remembered: float = 0.0) -> list[RunningSnapshot]:
        """Those that keep their indices from being removed: a partial one does not (7.17 to 9.4).

        From the cluster state: `_snapshot/_status` asks every node that has a shard of one.
        """
        return await self._connection.memory.recall("snapshots", remembered, self._ask_running)

    async def _ask_running(self) -> list[RunningSnapshot]:
        wanted = ("repository", "snapshot", "partial", "start_time_millis", "indices.name")
        answer = await self._connection.read(
            lambda es: es.cluster.state(
                metric="customs",
                filter_path=["cluster_name", *(f"snapshots.snapshots.{field}" for field in wanted)],
            )
        )
        with understanding("the snapshots that run"):
            answer["cluster_name"]  # an empty object does not mean that there is none
            entries = cast(list[Any], mapping(answer.get("snapshots") or {}).get("snapshots") or [])
            return [
                RunningSnapshot(
                    name=str(entry["snapshot"]),
                    repository=str(entry["repository"]),
                    started=integer(entry["start_time_millis"]),
                    indices=frozenset(str(one["name"]) for one in entry.get("indices") or ()),
                )
                for entry in map(mapping, entries)
                if entry.get("partial") is not True
            ]

    async def policies(self, remembered: float = 0.0) -> list[SnapshotPolicy]:
        """The policies of SLM that are to take a snapshot some time; none where there is no SLM."""
        return await self._connection.memory.recall("policies", remembered, self._ask_policies)

    async def _ask_policies(self) -> list[SnapshotPolicy]:
        try:
            answer = await self._connection.read(lambda es: es.slm.get_lifecycle())
        except ClusterRefused as error:
            if error.kind == "error" and error.http_status in (400, 405):  # no such route
                return []
            raise
        with understanding("its snapshot policies"):
            found = [_policy(name, mapping(entry)) for name, entry in answer.items()]
        return [policy for policy in found if policy]

    async def taken_within(self, seconds: float, remembered: float = 0.0) -> frozenset[str]:
        """The indices in a successful snapshot that began in the last so many seconds.

        From all repositories, the newest first, so many pages at most. What a repository does not
        tell is as if it were not there.
        """

        async def ask() -> frozenset[str]:
            return await self._taken_since(await self.master_clock() - int(seconds * 1000))

        return await self._connection.memory.recall("snapshots taken", remembered, ask)

    async def _taken_since(self, moment: int) -> frozenset[str]:
        found: set[str] = set()
        after: str | None = None
        for _ in range(MOST_PAGES):
            page, after = await self._snapshots(after)
            for started, snapshot in page:
                if started < moment:
                    return frozenset(found)
                if snapshot.get("state") == "SUCCESS":
                    found.update(map(str, snapshot.get("indices") or ()))
            if after is None:
                break
        return frozenset(found)

    async def _snapshots(
        self, after: str | None
    ) -> tuple[list[tuple[int, dict[str, Any]]], str | None]:
        """A page, each with when it began, and the place of the next one."""
        wanted = ("state", "start_time_in_millis", "indices")
        answer = await self._connection.read(
            lambda es: es.snapshot.get(
                repository="_all",
                snapshot="_all",
                sort="start_time",
                order="desc",
                size=PAGE,
                after=after,
                ignore_unavailable=True,
                filter_path=["next", "total", *(f"snapshots.{field}" for field in wanted)],
            )
        )
        with understanding("its snapshots"):
            entries = map(mapping, cast(list[Any], answer.get("snapshots") or []))
            page = [(integer(entry["start_time_in_millis"]), entry) for entry in entries]
            following = answer.get("next")
            return page, None if following is None else str(following)


def _policy(name: str, entry: Mapping[str, Any]) -> SnapshotPolicy | None:
    """None where it takes none any more, or only such as stand in nobody's way."""
    config = mapping(mapping(entry.get("policy") or {}).get("config") or {})
    if entry.get("next_execution_millis") is None or str(config.get("partial")).lower() == "true":
        return None
    given: Any = config.get("indices") or []
    listed = given.split(",") if isinstance(given, str) else map(str, cast(list[Any], given))
    patterns = tuple(pattern.strip() for pattern in listed if pattern.strip())
    return SnapshotPolicy(name, integer(entry["next_execution_millis"]), patterns)
