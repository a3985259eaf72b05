"""What kind of index it is, and why some cannot be reindexed this way. Pure: facts in, word out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

from app.domain import index_settings
from app.domain.compatibility import opens_mounted
from app.domain.errors import (
    AlreadyReindexed,
    IndexNotFound,
    InvalidIndexName,
    NotAnIndex,
    Refused,
    TargetExists,
    TargetTaken,
    WrongKind,
)
from app.domain.names import Handling, IndexName, Owned, owned_by
from app.domain.operation import ProofLevel
from app.domain.reach import EVERYTHING, Reach
from app.domain.remedies import RoutePath, Setting
from app.elastic.answers import IndexState, Looked

KINDS = frozenset(
    {
        "backing_index",
        "ccr_follower",
        "ccr_leader",
        "data_stream",
        "elastic_owned",
        "frozen",
        "in_use",
        "searchable_snapshot",
        "source_disabled",
        "source_filtered",
        "system_index",
    }
)
"""The codes that say what it is, and not what is wanted of it."""


class Asked(Protocol):
    """What is wanted of an index, as far as something can speak against it."""

    @property
    def source_name(self) -> IndexName: ...
    @property
    def new_index_name(self) -> IndexName: ...
    @property
    def mode(self) -> str | None: ...
    @property
    def proof_level(self) -> ProofLevel: ...
    @property
    def keep(self) -> bool: ...
    @property
    def keeps_source(self) -> bool: ...
    @property
    def leaves_followers(self) -> bool: ...


@dataclass(frozen=True)
class Facts:
    """What cluster and history say of any number of indices.

    `streams`: data streams and their backing indices; `earlier`: where completed operations of
    ours have put which index; `leftovers`: UUIDs of targets that we may remove; `version`: major
    and minor of the oldest node, where they were asked for; `leaders`: indices that others follow
    (CCR), where that was asked for; `reach`: of whoever asks, to whom nothing beyond it is named.
    """

    looked: Looked
    streams: Mapping[str, list[str]]
    major: int
    earlier: Mapping[str, str] = field(default_factory=dict[str, str])
    leftovers: Collection[str] = ()
    version: tuple[int, int] | None = None
    leaders: Collection[str] = ()
    reach: Reach = EVERYTHING

    @cached_property
    def owners(self) -> dict[str, str]:
        """The data stream of each backing index."""
        return {index: stream for stream, indices in self.streams.items() for index in indices}


def faults(asked: Asked, facts: Facts, *, with_target: bool = True) -> list[Refused]:
    """Everything that speaks against it, the weightiest first; for plan, POST and head of the
    queue alike.

    `with_target` False: the new index is the operation's own affair already.
    """
    if fault := refusal(asked.source_name, facts):
        return [fault]
    source = facts.looked[asked.source_name]
    found = [
        leader_refusal(asked) if asked.source_name in facts.leaders else None,
        target_refusal(asked.source_name, asked.new_index_name, facts) if with_target else None,
        mode_refusal(asked.mode, source),
        proof_refusal(asked.proof_level, source),
        keep_refusal(source, facts.major) if asked.keep else None,
    ]
    return [fault for fault in found if fault]


def kind_of(found: Sequence[Refused]) -> str:
    """What it is in a word, by what speaks against it: `index`, `alias`, `nothing`, or a kind."""
    for fault in found:
        if isinstance(fault, IndexNotFound | InvalidIndexName):
            return "nothing"
        if isinstance(fault, NotAnIndex | AlreadyReindexed):
            return "alias"
        if fault.code in KINDS:
            return fault.code
    return "index"


def refusal(name: IndexName, facts: Facts) -> Refused | None:
    """Why `name` is not taken, whatever is wanted of it, or None."""
    if name in facts.streams:
        return WrongKind(
            "data_stream",
            f"{name} is a data stream, not an index. Migrate it with POST _migration/reindex "
            '{"mode":"upgrade","source":{"index":"…"}} (8.18 and newer).',
        )
    state = facts.looked.get(name)
    if state is None:
        return _not_there(name, facts)
    if owner := facts.owners.get(name):
        stream = f"the data stream {owner}" if facts.reach.covers(owner) else "a data stream"
        return WrongKind(
            "backing_index",
            f"{name} belongs to {stream} and cannot be replaced by an alias. "
            f"Migrate the data stream with POST _migration/reindex (8.18 and newer).",
        )
    return _of_kind(state, facts) or _of_elastic(name, facts.version)


def _of_elastic(name: IndexName, version: tuple[int, int] | None) -> Refused | None:
    """Why an index that a feature of the Elastic Stack manages is not taken, or None."""
    owned = owned_by(name)
    if owned is None:
        return None
    early = version is not None and owned.too_early(version)
    if not early and owned.handling is not Handling.REFUSED:
        return None
    return _owned(name, owned, "is not reindexed here" if not early else "cannot be reindexed yet")


def unnamed_refusal(name: IndexName) -> Refused | None:
    """Why an index that nobody has named, but that is too old, is left alone, or None."""
    owned = owned_by(name)
    return (
        _owned(name, owned, "is reindexed only where it is posted by its name") if owned else None
    )


def _owned(name: IndexName, owned: Owned, what: str) -> Refused:
    text = f"{name} belongs to {owned.owner} and {what}. {owned.advice_for(name)}"
    return WrongKind("elastic_owned", text)


def _not_there(name: IndexName, facts: Facts) -> Refused:
    holders = facts.looked.holders(name)
    if holders and facts.earlier.get(name) in holders:
        return AlreadyReindexed(name, facts.earlier[name])
    return NotAnIndex(name, holders) if holders else IndexNotFound(name)


def _of_kind(state: IndexState, facts: Facts) -> Refused | None:
    """Why an index of this kind is not taken."""
    name, settings = state.name, state.settings
    if state.stamp:
        whose = "another operation" if facts.reach.limited else f"the operation {state.stamp}"
        return WrongKind(
            "in_use",
            f"{name} is the new index or the kept copy of {whose}, which it "
            "belongs to. Where that operation is over, remove the setting "
            f"{index_settings.STAMP} from it first.",
        )
    if state.system:
        return WrongKind(
            "system_index",
            f"{name} is a system index. Elasticsearch migrates those itself: "
            "POST _migration/system_features.",
        )
    if str(settings.get("index.xpack.ccr.following_index")) == "true":
        return WrongKind(
            "ccr_follower",
            f"{name} follows an index of another cluster. Reindex the leader there, or make this "
            f"an ordinary index first: POST {name}/_ccr/pause_follow, close it, "
            f"POST {name}/_ccr/unfollow, open it.",
        )
    if state.is_mounted:
        advice = "Restore the snapshot as an ordinary index and reindex that."
        if opens_mounted(facts.major):
            advice = f"There is nothing to do: Elasticsearch {facts.major + 1} opens it as it is."
        return WrongKind(
            "searchable_snapshot",
            f"{name} is a searchable snapshot, which cannot be reindexed in place. {advice}",
        )
    if str(settings.get("index.frozen")) == "true":
        return WrongKind(
            "frozen",
            f"{name} is frozen, and a copy passes over frozen indices. Thaw it first: "
            f"POST {name}/_unfreeze (before 9.0).",
        )
    return _source_fault(state)


def _source_fault(state: IndexState) -> Refused | None:
    """Documents are copied from `_source`: what is not in it would be lost silently."""
    source = cast(dict[str, Any], state.mappings.get("_source", {}))
    off = str(source.get("enabled", True)).lower() == "false" or source.get("mode") == "disabled"
    if off:
        return WrongKind(
            "source_disabled",
            f"{state.name} has _source disabled, so its documents cannot be copied. "
            "Fill a new index from where the data came from.",
        )
    if source.get("includes") or source.get("excludes"):
        return WrongKind(
            "source_filtered",
            f"{state.name} leaves fields out of _source (includes or excludes): they would be "
            "lost in the copy. Fill a new index from where the data came from.",
        )
    return None


def leader_refusal(asked: Asked) -> Refused | None:
    """Why an index that others follow is not taken, or None: they follow the index that would go,
    not its name (8.19)."""
    if asked.keeps_source or asked.leaves_followers:
        return None
    name = asked.source_name
    return WrongKind(
        "ccr_leader",
        f"An index of another cluster follows {name} (a retention lease of ccr), and would be left "
        "behind. There, reindex the follower first where it is too old itself; then POST "
        "follower/_ccr/pause_follow, close it, POST follower/_ccr/unfollow, open it. Post this "
        f'index to {RoutePath.BATCHES} with "force": true, and have a new index follow '
        f"{asked.new_index_name}. Auto-follow patterns that match only {name} need that name, too.",
    )


def target_refusal(name: IndexName, target: IndexName, facts: Facts) -> Refused | None:
    """Why `target` cannot be made, or None."""
    if name == target:
        return TargetTaken(f"The new index {target} must have another name than its source.")
    state = facts.looked.get(target)
    if state is not None and state.uuid not in facts.leftovers:
        return TargetExists(target)
    if state is None and (holders := facts.looked.holders(target)):
        return TargetTaken(
            f"The target's name {target} is an alias of {facts.reach.shown(holders)}. "
            "Rename or remove that alias."
        )
    return None


def keep_refusal(state: IndexState, major: int) -> Refused | None:
    """Why an index cannot be cloned for a rollback, or None.

    9.4 answers 500 to the clone of an index of 7.x, and never lifts a write block of one.
    """
    if state.created_major > major - 2:
        return None
    return WrongKind(
        "cannot_keep",
        f"{state.name} was made by Elasticsearch {state.created_major}, which this cluster of "
        f"{major} can read but not clone, so it cannot be kept for a rollback. Post it with "
        f"keepOldIndex false (without it, where {Setting.KEEP_OLD_INDEX} is set), after a "
        "snapshot.",
    )


def proof_refusal(level: ProofLevel, state: IndexState) -> Refused | None:
    """Why a copy cannot be proven by `level`, or None."""
    if level is not ProofLevel.FULL or not index_settings.hides_seq_nos(state.settings):
        return None
    return WrongKind(
        "proof",
        f"{state.name} has no sequence numbers to be searched by (index.disable_sequence_numbers), "
        "so its documents cannot be gone through one by one. Post it with proof sample.",
    )


def mode_refusal(mode: str | None, state: IndexState) -> Refused | None:
    """Why an index cannot get `mode`: what Elasticsearch would say half-way."""
    if mode is None or mode == "standard":
        return None
    if mode == "lookup" and state.shards != 1:
        return WrongKind(
            "mode",
            f"index.mode lookup needs exactly one shard, but {state.name} has {state.shards}.",
        )
    if mode == "time_series" and not state.settings.get("index.routing_path"):
        return WrongKind(
            "mode",
            f"index.mode time_series needs index.routing_path, which {state.name} does not have.",
        )
    return None
