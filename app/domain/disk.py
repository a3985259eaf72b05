"""Is there room on the disks? Elasticsearch's watermarks, and what an index needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.domain.formatting import parsed_size, size_text

_GENERAL = "data"
"""The role of a node that belongs to every tier."""


@dataclass(frozen=True)
class Watermark:
    """`used`: a fraction of the disk, of which `headroom` is the most that must stay free (None: no
    limit); or `free` bytes that must stay free."""

    used: float | None = None
    free: int | None = None
    headroom: int | None = None

    @classmethod
    def of(cls, value: str, headroom: str | None = None) -> Watermark:
        """From Elasticsearch's setting: `85%`, `0.85`, `500mb`. Raises `ValueError`."""
        text = value.strip()
        if text.endswith("%"):
            return cls(used=float(text[:-1]) / 100, headroom=_headroom(headroom))
        if text.replace(".", "", 1).isdigit():
            return cls(used=float(text), headroom=_headroom(headroom))
        return cls(free=parsed_size(text))

    def wants_free(self, total: int) -> int:
        """Bytes that are to stay free on a disk of that size."""
        if self.used is None:
            return self.free or 0
        share = total - int(total * self.used)
        return share if self.headroom is None else min(share, self.headroom)


def _headroom(value: str | None) -> int | None:
    return None if value is None or value.strip() == "-1" else parsed_size(value)


@dataclass(frozen=True)
class Disk:
    """Of one data node, in bytes."""

    node: str
    name: str
    roles: frozenset[str]
    total: int
    available: int

    def room(self, mark: Watermark) -> int:
        """What fits on it before the mark; below zero where it is passed."""
        return self.available - mark.wants_free(self.total)


@dataclass(frozen=True)
class Capacity:
    """The data nodes' disks and the marks in force; `checked` False: Elasticsearch does not care.

    `shards`: how many shard copies there are, `most_shards`: how many there may be.
    """

    disks: Sequence[Disk]
    checked: bool
    low: Watermark
    high: Watermark
    shards: int
    most_shards: int

    @property
    def room(self) -> int:
        """What fits below the low watermark on all disks together."""
        return sum(max(disk.room(self.low), 0) for disk in self.disks)

    @property
    def shards_left(self) -> int:
        return max(self.most_shards - self.shards, 0)

    def eligible(self, tiers: str | None) -> list[Disk]:
        """The disks for an index with that tier preference: of the first tier that has nodes."""
        for tier in (tiers or "").split(","):
            found = [d for d in self.disks if d.roles & {_GENERAL, tier.strip()}]
            if tier.strip() and found:
                return found
        return list(self.disks)


@dataclass(frozen=True)
class Demand:
    """A new index: the bytes of each of its primaries, and how many copies of each are to come."""

    primaries: Sequence[int]
    replicas: int = 0
    tiers: str | None = None

    @property
    def primary_bytes(self) -> int:
        return sum(self.primaries)

    def total(self, nodes: int) -> int:
        """Bytes with the replicas that so many nodes can take."""
        return self.primary_bytes * (1 + min(self.replicas, max(nodes - 1, 0)))


def shortage(demand: Demand, capacity: Capacity) -> str | None:
    """Why there is no room below the low watermark, in words; None where there is.

    Each shard copy goes where most is left, and no two of one shard to one node. A replica that has
    no node to go to is not waited for, so it needs no room.
    """
    disks = capacity.eligible(demand.tiers)
    if not capacity.checked or not disks:
        return None
    left = {disk.node: disk.room(capacity.low) for disk in disks}
    copies = 1 + min(demand.replicas, len(disks) - 1)
    for size in sorted(demand.primaries, reverse=True):
        for node in sorted(left, key=left.__getitem__, reverse=True)[:copies]:
            if size > 0 and left[node] < size:
                return _told(demand, disks, capacity)
            left[node] -= size
    return None


def _told(demand: Demand, disks: Sequence[Disk], capacity: Capacity) -> str:
    rooms = sorted(((disk.room(capacity.low), disk) for disk in disks), key=lambda r: -r[0])
    shown = [f"{disk.name} has {_room(room)}" for room, disk in rooms[:5]]
    more = f" (and {len(rooms) - 5} nodes more)" if len(rooms) > 5 else ""
    return (
        f"the new index needs {size_text(demand.total(len(disks)))} of disk, and below the low "
        f"watermark {', '.join(shown)}{more}"
    )


def _room(room: int) -> str:
    if room >= 0:
        return f"{size_text(room)} left"
    return f"none left ({size_text(-room)} over it)"


def overfull(nodes: Iterable[str], wanted: int, capacity: Capacity) -> str | None:
    """Why nothing more is written to one of these nodes: `wanted` bytes would pass its high
    watermark, from which on Elasticsearch moves shards away. In words, or None."""
    named = frozenset(nodes)
    for disk in capacity.disks:
        if capacity.checked and disk.node in named and disk.room(capacity.high) < wanted:
            return (
                f"the disk of {disk.name} has {size_text(disk.available)} free, and beyond the "
                f"high watermark ({size_text(capacity.high.wants_free(disk.total))} free) "
                "nothing is copied to it"
            )
    return None


@dataclass
class Balance:
    """What a batch does to the disks and the shards, one operation after the other.

    A kept copy costs nothing beside its source (hard links), and its primaries once that is gone.
    `peak` and `shards_peak`: the most that is in use at a time beyond what is now.
    """

    now: int = 0
    peak: int = 0
    shards: int = 0
    shards_peak: int = 0

    def add(self, demand: Demand, nodes: int, *, kept: bool, source_stays: bool) -> None:
        """An operation: the new index is there before the old one goes."""
        new, count = demand.total(nodes), len(demand.primaries)
        copies = count * (1 + demand.replicas)
        self.peak = max(self.peak, self.now + new)
        self.shards_peak = max(self.shards_peak, self.shards + copies + (count if kept else 0))
        if source_stays:
            self.now, self.shards = self.now + new, self.shards + copies
        elif kept:
            self.now, self.shards = self.now + demand.primary_bytes, self.shards + count
