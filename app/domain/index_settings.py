"""Mappings and settings of an index: what the target gets while it is filled, what it gets
back, what 8.x refuses of old ones, and what must match the source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, cast


def has_type(mappings: Mapping[str, Any], kinds: Collection[str]) -> bool:
    """True where a field, at any depth, has one of these types."""
    waiting = [mappings]
    while waiting:
        tree = waiting.pop()
        kind = tree.get("type")
        if isinstance(kind, str) and kind in kinds:
            return True
        waiting += [value for value in tree.values() if isinstance(value, Mapping)]
    return False


POLICY = "index.lifecycle.name"
ORIGIN = "index.lifecycle.origination_date"


def origination_date(settings: Mapping[str, Any], rollovers: Mapping[str, Any]) -> str | None:
    """Milliseconds from which the index's age counts: as it is set, rolled over, or created.

    `rollovers` is `rollover_info` of the cluster state: the time of the rollover by alias. Without
    this the phases of the new index, its deletion too, would count from the day of the reindex.
    """
    given = settings.get(ORIGIN)
    if given is not None and str(given) != "-1":
        return str(given)
    times = [int(info["time"]) for info in rollovers.values() if "time" in info]
    if times:
        return str(max(times))
    created = settings.get("index.creation_date")
    return None if created is None else str(created)


def lifecycle_settings(settings: Mapping[str, Any], rollovers: Mapping[str, Any]) -> dict[str, str]:
    """What is put on the new index once it has the name; nothing for an index without a policy.

    `index.lifecycle.indexing_complete` and `rollover_alias` are ordinary settings: they are copied
    when the target is made, so a rolled-over index is not rolled over again.
    """
    policy = settings.get(POLICY)
    origin = origination_date(settings, rollovers)
    if policy is None:
        return {}
    return {POLICY: str(policy)} | ({ORIGIN: origin} if origin else {})


Tree = Mapping[str, Any]

FIELD_NAMES = "_field_names"
MOST_CONTEXTS = 10

_CAMEL_CASE = re.compile(r"(?:basic|date|hour|ordinal|strict|tTime|time|week|year)\w*")
_FILTERS = {"nGram": "ngram", "edgeNGram": "edge_ngram"}


def without_defaults(mappings: Tree) -> dict[str, Any]:
    """A mapping without `_field_names.enabled: true`, which 7.x prints where it was said, and which
    8.x refuses to be told though it is the only way there is."""
    if says_field_names(mappings):
        return {key: value for key, value in mappings.items() if key != FIELD_NAMES}
    return dict(mappings)


def says_field_names(mappings: Tree) -> bool:
    """True where it says no more of `_field_names` than what goes without saying."""
    names: Any = mappings.get(FIELD_NAMES)
    return isinstance(names, Mapping) and {
        key: str(value).lower() for key, value in cast(Tree, names).items()
    } == {"enabled": "true"}


def retired(mappings: Tree, settings: Tree) -> list[str]:
    """Each in words, with what it becomes in an index that is made by hand. `settings` are flat."""
    found = [*_of_root(mappings)]
    waiting: list[tuple[str, Tree]] = [("", mappings)]
    while waiting:
        prefix, level = waiting.pop()
        for part in ("properties", "fields"):
            inside: Any = level.get(part)
            for name, child in cast(Tree, inside if isinstance(inside, Mapping) else {}).items():
                if isinstance(child, Mapping):
                    field = cast(Tree, child)
                    found += _of_field(f"{prefix}{name}", field)
                    if part == "fields" and isinstance(field.get("fields"), Mapping):
                        found.append(f"the multi-fields of {prefix}{name}: copy_to another field")
                    waiting.append((f"{prefix}{name}.", field))
    return [*found, *_of_analysis(settings)]


def _of_root(mappings: Tree) -> Iterator[str]:
    names: Any = mappings.get(FIELD_NAMES)
    if isinstance(names, Mapping) and not says_field_names(mappings):
        yield f"{FIELD_NAMES} ({', '.join(cast(Tree, names))}): leave it out"


def _of_field(path: str, field: Tree) -> Iterator[str]:
    if "boost" in field:
        yield f"boost {field['boost']} of {path}: give it to the query"
    contexts = field.get("contexts")
    if isinstance(contexts, list) and len(cast(list[Any], contexts)) > MOST_CONTEXTS:
        count = len(cast(list[Any], contexts))
        yield f"{count} contexts of {path}: {MOST_CONTEXTS} at most"
    for name in str(field.get("format", "")).split("||"):
        if _CAMEL_CASE.fullmatch(name) and name != (becomes := _snake_case(name)):
            yield f"format {name} of {path}: {becomes}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _of_analysis(settings: Tree) -> Iterator[str]:
    for key, value in settings.items():
        if key.startswith("index.analysis.") and key.endswith(".type") and value in _FILTERS:
            own = key.removeprefix("index.analysis.").removesuffix(".type")
            yield f"type {value} of {own}: {_FILTERS[value]}"


STAMP = "index.routing.allocation.exclude.reindex_queue_operation"
"""Proves a target ours while it is filled. Any attribute name may be set and taken away again
(measured on 7.17, 8.19 and 9.4); no node has this attribute, so nothing is excluded."""

TOTAL_SHARDS, ALLOCATION = (
    "index.routing.allocation.total_shards_per_node",
    "index.routing.allocation.enable",
)
"""They may refuse replicas that the source has got before they were set, so a value of theirs is
given back when the copies are active. Until then the new index has none of `ALLOCATION`: any would
hide what the cluster allows (8.19)."""

WHILE_COPYING: dict[str, str] = {
    "index.number_of_replicas": "0",
    "index.refresh_interval": "-1",
    "index.default_pipeline": "_none",
    "index.final_pipeline": "_none",
    "index.translog.durability": "request",
    "index.auto_expand_replicas": "false",
    "index.write.wait_for_active_shards": "1",
    TOTAL_SHARDS: "-1",
    "index.hidden": "true",
}
"""Pipelines are switched off by name, not by null: a template could bring them back. The translog
is synced with every request, so that a window once done survives a killed node. An index that has
its shards may forbid to allocate others or more of them, and a target without replicas has fewer
active copies than its writes may ask for."""

KEPT: dict[str, str] = {
    "index.number_of_replicas": "0",
    "index.auto_expand_replicas": "false",
    "index.write.wait_for_active_shards": "1",
    TOTAL_SHARDS: "-1",
    "index.hidden": "true",
}
"""What a kept copy has otherwise than its source: no wildcard finds it, and it costs the disk once
at most. A rollback gives it the source's values."""

_OVERRIDDEN = (*WHILE_COPYING, ALLOCATION)
RESTORED = tuple(key for key in _OVERRIDDEN if key != "index.hidden")
"""Given back to the target before the swap; `index.hidden` only after it."""

FLOOD_STAGE = "index.blocks.read_only_allow_delete"
"""Set by Elasticsearch where a disk is nearly full, and taken off by it when there is room."""

BLOCKS = (
    "index.blocks.write",
    "index.blocks.read_only",
    "index.blocks.read",
    "index.blocks.metadata",
    FLOOD_STAGE,
)

TIER = "index.routing.allocation.include._tier_preference"
"""Added by Elasticsearch (8.0 and newer) to every new index that does not name its own."""

NO_WRITES = {"index.blocks.write", "index.blocks.read_only"}
"""Under one of these an index takes no documents."""

_PRIVATE = frozenset(
    {
        "index.allocation.existing_shards_allocator",
        "index.creation_date",
        "index.frozen",
        "index.history.uuid",
        "index.mapper.dynamic",
        "index.merge.enabled",
        "index.number_of_routing_shards",
        "index.provided_name",
        "index.routing.allocation.initial_recovery._id",
        "index.search.throttled",
        "index.source_only",
        "index.uuid",
        "index.verified_before_close",
        "index.verified_read_only",
        STAMP,
    }
)
"""Elasticsearch's own, or not settable: never copied by us and never compared (as in Kibana)."""

DEPRECATED = (
    "index.force_memory_term_dictionary",
    "index.max_adjacency_matrix_filters",
    "index.soft_deletes.enabled",
)
_RETENTION = ("index.translog.retention.size", "index.translog.retention.age")
GONE = frozenset(
    {
        *DEPRECATED,
        *_RETENTION,
        "index.indexing.slowlog.level",
        "index.optimize_auto_generated_id",
        "index.rollup.source.name",
        "index.rollup.source.uuid",
        "index.search.slowlog.level",
    }
)
"""Of 7.x: an old index keeps them on 8.x and 9.x, where they do nothing; a new one cannot have
them, so `_create_from` leaves them out."""

NOT_COPIED = ("index.allocation.max_retries",)
"""Left out by `_create_from`, though a new index may have them."""

_PRIVATE_PREFIXES = (
    "archived.",
    "index.blocks.",
    "index.resize.source.",
    "index.shrink.source.",
    "index.store.snapshot.",
    "index.version.",
)


def blocks_on(flat: Mapping[str, Any]) -> dict[str, str]:
    """The `index.blocks.*` that are on."""
    return {key: "true" for key in BLOCKS if str(flat.get(key)) == "true"}


def hides_seq_nos(flat: Mapping[str, Any]) -> bool:
    """True where no search can name sequence numbers (an option of 9.4)."""
    return str(flat.get("index.disable_sequence_numbers")) == "true"


def to_restore(flat: Mapping[str, Any]) -> dict[str, str | None]:
    """The source's own value of every setting that the copy overrides; None where it has none."""
    return {key: flat.get(key) for key in _OVERRIDDEN}


def given_back_last(recorded: Mapping[str, str | None]) -> dict[str, str | None]:
    """Of what was recorded by `to_restore`, the settings that may refuse replicas."""
    return {key: value for key in (TOTAL_SHARDS, ALLOCATION) if (value := recorded.get(key))}


def given_back_first(
    recorded: Mapping[str, str | None], keys: Iterable[str]
) -> dict[str, str | None]:
    """Of what was recorded, the settings among `keys` but those that are given back last. An older
    release recorded fewer, since it overrode fewer."""
    last = given_back_last(recorded)
    found = {key: recorded[key] for key in keys if key in recorded and key not in last}
    if found["index.auto_expand_replicas"] not in (None, "false"):
        del found["index.number_of_replicas"]  # Elasticsearch's own to set, by the nodes there are
    return found


def deprecated(flat: Mapping[str, Any]) -> list[str]:
    """Settings that are set and that the target does without (as in Kibana), in their order."""
    found = [key for key in flat if key in DEPRECATED]
    if str(flat.get("index.soft_deletes.enabled")) == "true":
        found += [key for key in _RETENTION if key in flat]
    return found


def dropped(flat: Mapping[str, Any]) -> list[str]:
    """Settings that are set and that no new index can have: they go with the old one."""
    return [key for key in flat if key in GONE or key.startswith("archived.")]


def copied(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a target takes from its source: what the copy does not override."""
    dropped = {*deprecated(flat), *_OVERRIDDEN, POLICY}
    return {
        key: value
        for key, value in flat.items()
        if key not in _PRIVATE and key not in dropped and not key.startswith(_PRIVATE_PREFIXES)
    }


def differing_settings(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """What a target has otherwise than its source, beyond what the copy itself needs, in words."""
    wanted, found = copied(source), copied(target)
    return [
        f"{key} ({wanted.get(key, 'not set')} → {found.get(key, 'not set')})"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
        and (key in wanted or key != TIER)
        and (key in found or key not in GONE)
    ]


def missing_mappings(source: Tree, target: Tree) -> list[str]:
    """Dotted paths of the source's mappings that the target lacks or has otherwise."""
    pairs = list(_pairs(source, target))
    absent = [path for path, _, right in pairs if right is _NOTHING]
    return [*absent, *(path for path, _, right in pairs if right is not _NOTHING)]


def added_mappings(source: Tree, target: Tree) -> list[str]:
    """Dotted paths in the target's mappings that the source does not have (a template's)."""
    return [path for path, _, right in _pairs(target, source) if right is _NOTHING]


def depth(mappings: Tree) -> int:
    """How many objects are inside of each other, at the deepest place."""
    found = 0
    level: list[Any] = [mappings]
    while level:
        found += 1
        level = [value for tree in level for value in tree.values() if isinstance(value, Mapping)]
    return found


_NOTHING = object()


def _pairs(source: Tree, target: Tree) -> Iterator[tuple[str, Any, Any]]:
    """Path and both values of whatever the target lacks or has otherwise.

    Without recursion: mappings may be as deep as `index.mapping.depth.limit` lets them.
    """
    waiting: list[tuple[str, Tree, Tree]] = [("", source, target)]
    while waiting:
        prefix, left, right = waiting.pop()
        for key, value in left.items():
            other = right.get(key, _NOTHING)
            if isinstance(value, Mapping) and isinstance(other, Mapping):
                waiting.append((f"{prefix}{key}.", cast(Tree, value), cast(Tree, other)))
            elif value != other:
                yield prefix + key, value, other
