"""What the cluster told us, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from app.domain import index_settings
from app.domain.compatibility import UNTYPED
from app.domain.names import IndexName
from app.domain.weights import OnDisk

MOST_SLICES, USUAL_SLICES = "index.max_slices_per_scroll", 1_024
"""The setting, and its default; no index has more shards than that."""
MOST = 2**63 - 1
"""No number of Elasticsearch's is greater, and no database keeps a greater one."""


def integer(value: Any) -> int:
    """A number of documents or bytes, or a sequence number. Raises `TypeError`, `ValueError`."""
    number = int(value)
    if not -1 <= number <= MOST:
        raise ValueError(number)
    return number


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object. Raises `TypeError`."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return cast(dict[str, Any], value)


def text(value: Any, most: int) -> str:
    """A string of at most so many characters. Raises `TypeError`, `ValueError`."""
    if not isinstance(value, str):
        raise TypeError("not a string")
    if len(value) > most:
        raise ValueError(value[:most])
    return value


@dataclass(frozen=True)
class Version:
    """`number` as in 8.19.8, or 9.5.0-SNAPSHOT."""

    number: str

    @property
    def parts(self) -> tuple[int, int]:
        """Major and minor."""
        major, minor = self.number.split(".")[:2]
        return int(major), int(minor)

    @property
    def major(self) -> int:
        return self.parts[0]

    @property
    def creates_from(self) -> bool:
        """Knows `_create_from` (8.18 and newer)."""
        return self.parts >= (8, 18)


@dataclass(frozen=True)
class IndexState:
    """A concrete index as the cluster state has it. `settings` are flat; `aliases` names only.

    `routing_shards` is the number of routing shards, which decides where an `_id` lives;
    `mappings` are empty unless they were asked for. `mapping_type` is the name of the one type that
    an index of 7.x may have its mapping under (`include_type_name`), where anything of it was asked
    for.
    """

    name: str
    uuid: str
    closed: bool
    settings: Mapping[str, Any]
    aliases: tuple[str, ...]
    routing_shards: int
    mappings: Mapping[str, Any]
    system: bool = False
    rollovers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    mapping_type: str = UNTYPED

    @property
    def index_name(self) -> IndexName:
        return IndexName(self.name)

    @property
    def shards(self) -> int:
        return int(self.settings["index.number_of_shards"])

    @property
    def replicas(self) -> int:
        return int(self.settings.get("index.number_of_replicas", 1))

    @property
    def created_major(self) -> int:
        """The major of Elasticsearch that made it."""
        return int(self.settings["index.version.created"]) // 1_000_000

    @property
    def is_mounted(self) -> bool:
        """It is a searchable snapshot."""
        return self.settings.get("index.store.type") == "snapshot"

    @property
    def mode(self) -> str | None:
        """`index.mode`; None where it is not set."""
        return self.settings.get("index.mode")

    @property
    def blocks(self) -> dict[str, str]:
        return index_settings.blocks_on(self.settings)

    @property
    def set_blocks(self) -> dict[str, str]:
        """The blocks that people set; not that of a full disk, which comes and goes by itself."""
        return {key: on for key, on in self.blocks.items() if key != index_settings.FLOOD_STAGE}

    @property
    def write_blocked(self) -> bool:
        return "index.blocks.write" in self.blocks

    @property
    def verified_read_only(self) -> bool:
        """Set by `_block/write` (8.18 and newer): no write is in flight any more."""
        return str(self.settings.get("index.verified_read_only")) == "true"

    @property
    def stamp(self) -> str | None:
        """The id of the operation that made this index as its target, while it is being filled."""
        return self.settings.get(index_settings.STAMP)


class Looked(dict[str, IndexState]):
    """The indices found, by name; a name that is an alias, or nothing, is simply not a key."""

    _by_alias: dict[str, list[str]]
    _of_size = -1

    def holders(self, alias: str) -> list[str]:
        """The indices that carry `alias`."""
        if self._of_size != len(self):  # indices are only ever added
            self._by_alias, self._of_size = self._turned_round(), len(self)
        return list(self._by_alias.get(alias, ()))

    def _turned_round(self) -> dict[str, list[str]]:
        """The indices of each alias: looking through thousands for each of thousands takes long."""
        found: dict[str, list[str]] = {}
        for name in sorted(self):
            for alias in self[name].aliases:
                found.setdefault(alias, []).append(name)
        return found


def index_state(name: str, entry: Mapping[str, Any]) -> IndexState:
    """From an entry of the cluster state. Raises `LookupError`, `TypeError` or `ValueError` where a
    part that is read anywhere is missing or of another kind."""
    mapping_type, mappings = _of_one_type(mapping(entry.get("mappings") or {}))
    mapping(mappings.get("_source", {}))
    rollovers = mapping(entry.get("rollover_info", {}))
    for info in rollovers.values():
        integer(mapping(info).get("time", 0))
    # 7.17 stores a setting that an index was made with as null, where it means the default
    settings = {k: v for k, v in mapping(entry["settings"]).items() if v is not None}
    _check_settings(settings)
    return IndexState(
        name=name,
        uuid=text(settings["index.uuid"], 64),
        closed=entry["state"] == "close",
        settings=settings,
        aliases=tuple(text(alias, 255) for alias in _list(entry.get("aliases") or [])),
        routing_shards=integer(entry["routing_num_shards"]),
        system=bool(entry.get("system")),
        rollovers=rollovers,
        mappings=mappings,
        mapping_type=mapping_type,
    )


def _of_one_type(types: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the mapping of an index's one type.

    The cluster state has the mapping under its type, whatever that is called, also where 8.x and
    9.x read an index of 7.x; a type may be called as a part of a mapping (`properties`, `dynamic`)
    is (7.17, 8.19). An index of 6.x may have a `_default_` beside.
    """
    own = {name: found for name, found in types.items() if name != "_default_"}
    for name, found in own.items():
        return name, mapping(found)
    return UNTYPED, {}


def _check_settings(settings: Mapping[str, Any]) -> None:
    for key in ("index.number_of_shards", "index.version.created"):
        integer(settings[key])
    for key in ("index.max_result_window", "index.number_of_replicas", MOST_SLICES):
        integer(settings.get(key, 0))
    plain = (*index_settings.RESTORED, *index_settings.BLOCKS, index_settings.STAMP, "index.hidden")
    for key in plain:
        if settings.get(key) is not None:
            text(settings[key], 10_000)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return cast(list[Any], value)


@dataclass(frozen=True)
class Shards:
    """The `_shards` of an answer: how many were asked, answered, failed."""

    total: int
    successful: int
    failed: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Shards:
        shards = answer["_shards"]
        return cls(
            integer(shards["total"]), integer(shards["successful"]), integer(shards["failed"])
        )


class Document(NamedTuple):
    """`source`: JSON as it came."""

    id: str
    routing: str | None
    version: int
    source: bytes


@dataclass(frozen=True)
class Documents:
    """A page of documents; `total` is how many the query found in all."""

    page: list[Document]
    total: int
    shards: Shards


@dataclass(frozen=True)
class ShardStats:
    """One primary: Lucene documents (nested children count), its highest sequence number, its size
    on disk in bytes. `followed`: an index of another cluster follows it (CCR)."""

    documents: int
    max_seq_no: int
    size: int = 0
    followed: bool = False

    @property
    def on_disk(self) -> OnDisk:
        return OnDisk(self.documents, self.size)


@dataclass(frozen=True)
class IndexSize:
    """All primaries together: Lucene documents (nested children count) and bytes on disk."""

    documents: int
    primary_bytes: int


@dataclass(frozen=True)
class TaskState:
    """A task as the task API has it; `response` and `error` only once it has ended.

    `started` as `RunningTask` has it. Of a copy that was waited for only the result is known.
    """

    completed: bool
    status: Mapping[str, Any]
    response: Mapping[str, Any]
    error: Mapping[str, Any] | None
    action: str = ""
    description: str = ""
    started: int | None = None
    opaque_id: str = ""

    @property
    def is_copy(self) -> bool:
        return self.action == COPY_ACTION

    @property
    def handled(self) -> int:
        """Documents handled so far."""
        return sum(integer(self.status.get(k) or 0) for k in _COUNTERS)


_COUNTERS = ("created", "updated", "deleted", "noops", "version_conflicts")


COPY_ACTION = "indices:data/write/reindex"
"""The action of a `_reindex`, and of its slices (7.17, 8.19, 9.4)."""


@dataclass(frozen=True)
class RunningTask:
    """`description` says from where to where it copies; `started`: in milliseconds by the clock of
    its node; `parent`: the id of the task that it is a slice of."""

    id: str
    opaque_id: str
    description: str = ""
    started: int | None = None
    parent: str | None = None


@dataclass(frozen=True)
class NodeVitals:
    """How a node does; None: it did not say. Counters grow since its start.

    `heap`: the share of the heap that long-lived objects take, 0 to 1; `pressure`: that of the
    memory for documents on their way in. `cpu`: of the machine, 0 to 1; `searches_waiting`: in the
    queue of its search threads.
    """

    name: str
    cpu: float | None = None
    heap: float | None = None
    breaker_trips: int | None = None
    pressure: float | None = None
    pressure_rejections: int | None = None
    write_rejections: int | None = None
    search_rejections: int | None = None
    searches_waiting: int | None = None


@dataclass(frozen=True)
class Vitals:
    """How the cluster does. `nodes` by their id; `waited`: seconds of its oldest pending task;
    `searched`: seconds that the search of the probe took.
    """

    nodes: Mapping[str, NodeVitals] = field(default_factory=dict[str, NodeVitals])
    status: str | None = None
    pending: int | None = None
    waited: float | None = None
    searched: float | None = None
