"""The plan: what a batch would do, and what stands in its way. Nothing is changed by it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.copying.pace import Pacing
from app.domain import index_settings
from app.domain.compatibility import LAST_WITH_TYPES, UNTYPED, because, type_lost
from app.domain.disk import Balance, Capacity, Demand, shortage
from app.domain.errors import (
    ClusterBusy,
    MissingPrivileges,
    Refused,
    ReindexQueueError,
    StoreTrouble,
)
from app.domain.formatting import size_text
from app.domain.operation import FullUpTo, ProofLevel
from app.domain.progress import Estimate, Measured, Span, estimate, full_proof, total
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import ReindexRequest
from app.domain.trial import Attempt, Trial, TrialOutcome
from app.domain.windows import cuts_needed, window_for
from app.elastic.answers import IndexSize, IndexState
from app.elastic.cluster import ClusterView
from app.jobs.phases import Limits
from app.store.enqueueing import Wanted
from app.store.listing import Listing
from app.upgrades.admission import Admission, AdmissionReport, Examined
from app.upgrades.before_block import not_saved
from app.upgrades.budget import NOT_TOLD, demand_of
from app.upgrades.classifier import kind_of
from app.upgrades.measuring import measured
from app.upgrades.outdated import Inventory, fate_of, sizes_of
from app.upgrades.references import Reference, References, references_of
from app.upgrades.small import SmallJobDesk
from app.upgrades.steps.foresee import Filters

TRIALS_SECONDS = 25.0
"""So long are new indices tried out: a third of a second each on a quiet cluster."""
NO_TIME = Trial(
    outcome=TrialOutcome.NOT_TRIED,
    text=f"not tried within {TRIALS_SECONDS:g} s: name fewer indices",
)


@dataclass(frozen=True)
class PlannedIndex:
    """One index. `wanted` None: its name is none. `state` None: there is no such index, or it is
    under way. `disk_bytes`: of the new index with its replicas. `missing_snapshot`: that it is in
    none that is new enough. `trial` None: none was asked for. `warnings`: what a person should know
    beside, in sentences.
    `proof`: the level it will have; `full_proof`: what comparing every document takes.
    """

    name: str
    blockers: Sequence[Refused]
    because: str = ""
    wanted: Wanted | None = None
    state: IndexState | None = None
    size: IndexSize | None = None
    windows: int | None = None
    references: Sequence[Reference] = ()
    estimate: Estimate | None = None
    disk_bytes: int | None = None
    shortage: str | None = None
    missing_snapshot: str | None = None
    trial: Trial | None = None
    warnings: Sequence[str] = ()
    proof: ProofLevel | None = None
    full_proof: Span | None = None

    @property
    def kind(self) -> str:
        return kind_of(self.blockers)

    @property
    def dropped_settings(self) -> list[str]:
        return index_settings.dropped(self.state.settings) if self.state else []

    @property
    def missing_privileges(self) -> list[str]:
        return [
            word
            for fault in self.blockers
            if isinstance(fault, MissingPrivileges)
            for word in fault.missing
        ]


@dataclass(frozen=True)
class Plan:
    """The indices in the order in which they would be worked off; all figures are of those that
    nothing speaks against. `capacity` None: our user may not ask for it. `unknown`: references
    that could not be looked for. `measured`: so many operations the estimates are made of.
    """

    indices: list[PlannedIndex]
    estimate: Estimate | None
    balance: Balance
    capacity: Capacity | None
    unknown: Sequence[str]
    measured: int

    @property
    def ready(self) -> list[PlannedIndex]:
        return [one for one in self.indices if not one.blockers]

    @property
    def disk_shortage(self) -> str | None:
        """Why the batch would wait for room, in words."""
        for one in self.ready:
            if one.shortage:
                return f"{one.name}: {one.shortage}"
        capacity = self.capacity
        if capacity is None or not capacity.checked or self.balance.peak <= capacity.room:
            return None
        return (
            f"the batch needs {size_text(self.balance.peak)} at a time, and below the low "
            f"watermark {size_text(capacity.room)} are left on all nodes together"
        )

    @property
    def shard_shortage(self) -> str | None:
        """Why the batch would wait for the shard limit, in words."""
        if self.capacity is None or self.balance.shards_peak <= self.capacity.shards_left:
            return None
        return (
            f"{self.balance.shards_peak} shard copies are needed at a time, and "
            f"cluster.max_shards_per_node leaves {self.capacity.shards_left} of "
            f"{self.capacity.most_shards}"
        )


class Planner:
    def __init__(
        self,
        cluster: ClusterView,
        admission: Admission,
        inventory: Inventory,
        small_jobs: SmallJobDesk,
        listing: Listing,
        pacing: Pacing,
        limits: Limits,
    ) -> None:
        self._cluster = cluster
        self._admission = admission
        self._inventory = inventory
        self._small_jobs = small_jobs
        self._listing = listing
        self._pacing = pacing
        self._limits = limits

    async def plan(
        self,
        requests: Sequence[ReindexRequest],
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Plan:
        """`reach` and `credentials`: of the caller. Raises `MixedVersions`, `ClusterTrouble`,
        `StoreTrouble`."""
        report = await self._admission.examine(requests, reach=reach, credentials=credentials)
        plan = await self._of(report, reach)
        place = {r.index_name: n for n, r in reversed(list(enumerate(requests)))}
        return replace(plan, indices=sorted(plan.indices, key=lambda one: place[one.name]))

    async def plan_outdated(
        self,
        pattern: ReindexRequest,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Plan:
        """For all within `reach` that the next major refuses, with the options of `pattern`. Raises
        as `plan`."""
        names, looked = await self._inventory.outdated(reach)
        requests = [replace(pattern, index_name=name) for name in names]
        report = await self._admission.examine(
            requests, looked, named=False, reach=reach, credentials=credentials
        )
        return await self._of(report, reach)

    async def with_trials(self, plan: Plan, caller: str, reach: Reach = EVERYTHING) -> Plan:
        """The same, with the new indices made, looked at and removed, as many as there is time.
        `reach`: of the caller."""
        trials: dict[str, Trial] = {}
        until, others = time.monotonic() + TRIALS_SECONDS, NO_TIME
        for one in plan.ready:
            assert one.wanted is not None
            if time.monotonic() > until:
                break
            try:
                trials[one.name] = await self._try_out(one.wanted, caller, reach)
            except ClusterBusy as error:  # nobody works, or not now: the others would wait as long
                others = Trial(outcome=TrialOutcome.NOT_TRIED, text=error.message)
                break
        tried = [
            one if one.blockers else replace(one, trial=trials.get(one.name, others))
            for one in plan.indices
        ]
        return replace(plan, indices=tried)

    async def _try_out(self, wanted: Wanted, caller: str, reach: Reach) -> Trial:
        attempt = Attempt(
            index=wanted.index_name,
            source=wanted.source_name,
            target=wanted.new_index_name,
            mode=wanted.mode,
        )
        try:
            return await self._small_jobs.try_out(attempt, caller, reach)
        except (ClusterBusy, StoreTrouble):
            raise
        except ReindexQueueError as error:
            return Trial(outcome=TrialOutcome.NOT_TRIED, text=error.message)

    async def _of(self, report: AdmissionReport, reach: Reach) -> Plan:
        looked = report.facts.looked
        there: dict[str, IndexState] = {
            one.wanted.source_name: looked[one.wanted.source_name]
            for one in report.examined
            if one.wanted.source_name in looked
        }
        targets: dict[str, str] = {
            one.wanted.source_name: one.wanted.new_index_name for one in report.examined
        }
        measures = await sizes_of(list(there.values()), self._cluster)
        references = await references_of(targets, there, self._cluster)
        types = await self._types(there, report.facts.major)
        report = await self._with_filters(report, references, types)
        capacity = await self._capacity()
        history = await measured(self._listing, reach)
        at_once = (await self._pacing.service()).limit.windows_planned
        cutting = Cutting(self._limits.window_documents, at_once)
        up_to = self._limits.full_up_to
        draft = _Draft(report, measures, references, capacity, history, cutting, types, up_to)
        indices = [await self._with_snapshot(draft.index(one)) for one in report.examined]
        indices += [PlannedIndex(bad.name, [bad.error]) for bad in report.malformed]
        ready = [one for one in indices if not one.blockers]
        return Plan(
            indices=indices,
            estimate=total(one.estimate for one in ready) if ready else None,
            balance=draft.balance,
            capacity=capacity,
            unknown=references.unknown,
            measured=len(history),
        )

    async def _types(self, there: Mapping[str, IndexState], major: int) -> Mapping[str, str]:
        """The mapping types that indices have, on a cluster where they can be named."""
        if major > LAST_WITH_TYPES or not there:
            return {}
        return await self._cluster.indices.mapping_types(
            [state.index_name for state in there.values()]
        )

    async def _with_filters(
        self, report: AdmissionReport, references: References, types: Mapping[str, str]
    ) -> AdmissionReport:
        """With the filters of aliases that a new index cannot get among what speaks against it."""
        filters = Filters(self._cluster, report.facts.major)
        examined: list[Examined] = []
        for one in report.examined:
            name = one.wanted.source_name
            aliases, kind = references.aliases.get(name, {}), types.get(name, UNTYPED)
            fault = None if one.faults else await filters.fault(aliases, name, kind, name)
            examined.append(replace(one, faults=[fault]) if fault else one)
        return replace(report, examined=examined)

    async def _with_snapshot(self, one: PlannedIndex) -> PlannedIndex:
        """The same with what its operation would wait for before the write block."""
        seconds = self._limits.snapshot_seconds
        if not seconds or one.blockers or one.wanted is None:
            return one
        reason = await not_saved(one.wanted.source_name, seconds, self._cluster, anew=False)
        return replace(one, missing_snapshot=reason)

    async def _capacity(self) -> Capacity | None:
        try:
            return await self._cluster.nodes.capacity()
        except NOT_TOLD:
            return None


@dataclass(frozen=True)
class Cutting:
    """How a copy is cut into windows: documents of each, and how many are to be in flight."""

    window_documents: int
    at_once: int


class _Draft:
    """The facts of a plan on its way; `balance` grows with each index."""

    def __init__(
        self,
        report: AdmissionReport,
        measures: Mapping[str, IndexSize],
        references: References,
        capacity: Capacity | None,
        history: Sequence[Measured],
        cutting: Cutting,
        types: Mapping[str, str],
        up_to: FullUpTo,
    ) -> None:
        self._up_to = up_to
        self._report = report
        self._sizes = measures
        self._references = references
        self._capacity = capacity
        self._history = history
        self._cutting = cutting
        self._types = types
        self.balance = Balance()

    def index(self, examined: Examined) -> PlannedIndex:
        wanted, facts = examined.wanted, self._report.facts
        state = facts.looked.get(wanted.source_name)
        size = self._sizes.get(wanted.source_name)
        demand = _demand(state, size) if state and size else None
        if demand and not examined.blockers:
            self._weigh(demand, wanted)
        return PlannedIndex(
            name=wanted.index_name,
            blockers=examined.blockers,
            because=_because(state, facts.major) if state else "",
            wanted=wanted,
            state=state,
            size=size,
            windows=self._windows(state, size) if state and size else None,
            references=self._references.by_index.get(wanted.source_name, ()),
            estimate=estimate(size.documents, size.primary_bytes, self._history) if size else None,
            disk_bytes=demand.total(self._nodes(demand)) if demand else None,
            shortage=shortage(demand, self._capacity) if demand and self._capacity else None,
            warnings=self._warnings(wanted),
            proof=self._proof(wanted.proof_level, state, size),
            full_proof=full_proof(size.documents, size.primary_bytes, self._history)
            if size
            else None,
        )

    def _warnings(self, wanted: Wanted) -> list[str]:
        name = wanted.source_name
        lost = type_lost(name, self._types.get(name, UNTYPED), self._report.facts.major)
        return [lost] if lost else []

    def _proof(
        self, asked: ProofLevel, state: IndexState | None, size: IndexSize | None
    ) -> ProofLevel:
        """What it will be, where the size is known."""
        if asked is not ProofLevel.AUTO or state is None or size is None:
            return asked
        possible = not index_settings.hides_seq_nos(state.settings)
        return self._up_to.choose(size.documents, size.primary_bytes, possible=possible)

    def _weigh(self, demand: Demand, wanted: Wanted) -> None:
        nodes = self._nodes(demand)
        self.balance.add(demand, nodes, kept=wanted.keep, source_stays=wanted.keeps_source)

    def _nodes(self, demand: Demand) -> int:
        return len(self._capacity.eligible(demand.tiers)) if self._capacity else 1

    def _windows(self, state: IndexState, size: IndexSize) -> int:
        """Documents lie evenly on the shards, about."""
        if not size.documents:
            return 0
        share = -(-size.documents // state.shards)
        least = -(-self._cutting.at_once // state.shards)
        most = window_for(size.documents, size.primary_bytes, self._cutting.window_documents)
        cuts = cuts_needed(share, most, least)
        return min(state.shards, size.documents) * (cuts + 1)


def _demand(state: IndexState, size: IndexSize) -> Demand:
    share = -(-size.primary_bytes // state.shards)
    return demand_of(state, [share] * state.shards)


def _because(state: IndexState, major: int) -> str:
    return because(state.created_major, major, fate_of(state, major))
