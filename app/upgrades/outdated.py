"""Which indices the next major does not open, and which of those can be reindexed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.compatibility import Fate, because, fate
from app.domain.errors import ClusterRefused, InvalidIndexName, Refused
from app.domain.names import IndexName
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import ReindexRequest
from app.elastic.answers import IndexSize, IndexState, Looked
from app.elastic.cluster import ClusterView
from app.upgrades.admission import Admission, AdmissionReport, Examined, Surroundings


@dataclass(frozen=True)
class OutdatedVerdict:
    """`target` None: there is none, or none is wanted."""

    target: IndexName | None
    blockers: Sequence[Refused]


NOT_JUDGED = OutdatedVerdict(None, ())


@dataclass(frozen=True)
class Candidate:
    """An index, what the next major does with it and why, and what speaks against reindexing it.

    `size` None: it cannot be told now.
    """

    state: IndexState
    fate: Fate
    because: str
    verdict: OutdatedVerdict
    size: IndexSize | None


@dataclass(frozen=True)
class CandidatePage:
    """`next`: the `after` of the page that follows. The counts are of the whole cluster.

    `blocked` of the `outdated` cannot be reindexed; `read_only` are left out of both.
    """

    candidates: list[Candidate]
    next: str | None
    total: int
    outdated: int
    blocked: int
    read_only: int


class Inventory:
    """The cluster's indices: a few requests, however many there are."""

    def __init__(
        self, cluster: ClusterView, surroundings: Surroundings, admission: Admission
    ) -> None:
        self._cluster = cluster
        self._surroundings = surroundings
        self._admission = admission

    async def page(
        self,
        *,
        outdated: bool,
        limit: int,
        after: str | None = None,
        reach: Reach = EVERYTHING,
    ) -> CandidatePage:
        """Indices in the order of their names, those beyond `after`; `outdated`: only those that
        the next major refuses. `reach`: of the caller; nothing beyond it is counted.

        Raises `MixedVersions`, `ClusterTrouble`, `StoreTrouble`.
        """
        major = await self._surroundings.one_major()
        looked = await self._cluster.indices.look_at_everything()
        seen = {name: state for name, state in looked.items() if reach.covers(name)}
        fates = {name: fate_of(state, major) for name, state in seen.items()}
        old = sorted(name for name, found in fates.items() if found is Fate.REFUSES)
        judged = await self._judged(old, looked, reach)
        names = old if outdated else sorted(seen)
        rest = [name for name in names if after is None or name > after]
        shown = rest[:limit]
        sizes = await sizes_of([looked[name] for name in shown], self._cluster)
        return CandidatePage(
            candidates=[
                Candidate(
                    state=looked[name],
                    fate=fates[name],
                    because=because(looked[name].created_major, major, fates[name]),
                    verdict=judged.get(name, NOT_JUDGED),
                    size=sizes.get(name),
                )
                for name in shown
            ],
            next=shown[-1] if len(rest) > limit else None,
            total=len(seen),
            outdated=len(old),
            blocked=sum(1 for verdict in judged.values() if verdict.blockers),
            read_only=sum(1 for found in fates.values() if found is Fate.READ_ONLY),
        )

    async def _judged(
        self, old: Sequence[str], looked: Looked, reach: Reach
    ) -> dict[str, OutdatedVerdict]:
        requests = [ReindexRequest(name) for name in old]
        return _judged(
            await self._admission.examine(
                requests, looked, privileges=False, named=False, reach=reach
            )
        )

    async def outdated(self, reach: Reach = EVERYTHING) -> tuple[list[str], Looked]:
        """The indices within `reach` that the next major refuses, by name, and the whole
        cluster's."""
        major = await self._surroundings.one_major()
        looked = await self._cluster.indices.look_at_everything()
        seen = [state for name, state in sorted(looked.items()) if reach.covers(name)]
        return [state.name for state in seen if fate_of(state, major) is Fate.REFUSES], looked


def _judged(report: AdmissionReport) -> dict[str, OutdatedVerdict]:
    """By name; a name that 7.x allowed may be one that a new index cannot have."""
    judged = {one.wanted.index_name: _verdict(one) for one in report.examined}
    return judged | {bad.name: OutdatedVerdict(None, (bad.error,)) for bad in report.malformed}


def _verdict(examined: Examined) -> OutdatedVerdict:
    return OutdatedVerdict(examined.wanted.new_index_name, examined.blockers)


async def sizes_of(states: Sequence[IndexState], cluster: ClusterView) -> Mapping[str, IndexSize]:
    """Documents and bytes of those that tell. A metadata block refuses the whole question."""
    names = [name for state in states if (name := _open_to_look(state))]
    try:
        return await cluster.indices.sizes(names)
    except ClusterRefused:  # one was blocked, or removed, in this moment
        return {}


def _open_to_look(state: IndexState) -> IndexName | None:
    if "index.blocks.metadata" in state.blocks:
        return None
    try:
        return state.index_name
    except InvalidIndexName:  # of 7.x, with a colon
        return None


def fate_of(state: IndexState, major: int) -> Fate:
    """What the major after `major` does with it."""
    read_only = state.write_blocked and state.verified_read_only
    return fate(state.created_major, major, read_only=read_only, mounted=state.is_mounted)
