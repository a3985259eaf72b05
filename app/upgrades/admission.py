"""Who is let into the queue: what a request means, what speaks against it, and the cluster
around it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from app.domain.errors import (
    AlreadyInProgress,
    CallerLacksPrivileges,
    InvalidIndexName,
    MissingPrivileges,
    MixedVersions,
    OutOfReach,
    Refused,
)
from app.domain.names import IndexName, target_name
from app.domain.operation import kept_name
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import Defaults, ReindexRequest
from app.elastic.answers import Looked, Version
from app.elastic.cluster import ClusterView
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.ownership import ClusterOwnership
from app.jobs.term import ClusterIdentity
from app.store.enqueueing import Wanted
from app.store.store import Store
from app.telemetry import logger
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.classifier import Facts, faults, unnamed_refusal
from app.upgrades.privileges import Need, missing

log = logger(__name__)


class Surroundings:
    """Versions and security, so that polling clients do not ask the cluster for them each time."""

    def __init__(self, cluster: ClusterView) -> None:
        self._cluster = cluster

    async def versions(self) -> list[Version]:
        """The nodes' versions, oldest first. Raises `ClusterTrouble`."""
        return await self._cluster.nodes.versions(REMEMBERED_SECONDS)

    async def one_major(self) -> int:
        """The cluster's major. Raises `MixedVersions` (426) where its nodes have several."""
        majors = {version.major for version in await self.versions()}
        if len(majors) > 1:
            raise MixedVersions
        return majors.pop()

    async def missing_privileges(self, needs: Sequence[Need]) -> dict[IndexName, list[str]]:
        """What our own user lacks for each index, in words; empty without security."""
        if not needs or not await self._cluster.security.is_on(REMEMBERED_SECONDS):
            return {}
        return await missing(self._cluster, needs, await self.one_major())


MOST_LEADERS = 500
"""Statistics of shards are asked for of no more indices at a time."""


@dataclass(frozen=True)
class RefusedName:
    name: str
    error: Refused


@dataclass(frozen=True)
class Examined:
    """One index that is wanted, and everything that speaks against it, the weightiest first.

    `live`: it has an operation already, so nothing of it was looked at.
    """

    wanted: Wanted
    faults: Sequence[Refused]
    live: bool

    @property
    def blockers(self) -> Sequence[Refused]:
        """`faults`, or that it is under way."""
        return [AlreadyInProgress(self.wanted.index_name)] if self.live else self.faults


@dataclass(frozen=True)
class AdmissionReport:
    """What a request comes to. `malformed`: names that are none, that came twice, or that are
    beyond the caller's reach."""

    examined: list[Examined]
    malformed: list[RefusedName]
    facts: Facts


class Admission:
    def __init__(
        self,
        store: Store,
        cluster: ClusterView,
        surroundings: Surroundings,
        cluster_identity: ClusterIdentity,
        ownership: ClusterOwnership,
        major: int | None,
        defaults: Defaults,
        caller_privileges: CallerPrivileges,
    ) -> None:
        self._operations = store.operations
        self._kept_copies = store.kept_copies
        self._cluster = cluster
        self._surroundings = surroundings
        self._cluster_identity = cluster_identity
        self._ownership = ownership
        self._major = major
        self._defaults = defaults
        self._caller_privileges = caller_privileges

    async def target_of(self, name: IndexName) -> IndexName:
        """What `name` would be copied to by Kibana's rule."""
        return target_name(name, self._major or await self._surroundings.one_major())

    async def admit(
        self,
        requests: Sequence[ReindexRequest],
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> tuple[list[Wanted], list[RefusedName]]:
        """What may be queued, in order, and what not and why. `reach` and `credentials`: of the
        caller.

        An index that has a live operation is left to the store: it is refused or resumed there,
        and refused also where that one has ended meanwhile. To resume it takes the privileges that
        posting it takes.

        Raises `MixedVersions`, `ClusterTrouble`, `StoreTrouble`.
        """
        await self._cluster_identity.check(anew=True)
        await self._ownership.refuse()
        report = await self.examine(requests, reach=reach, credentials=credentials)
        refused = [
            RefusedName(one.wanted.index_name, one.faults[0])
            for one in report.examined
            if one.faults
        ]
        good = [
            replace(one.wanted, unexamined=one.live) for one in report.examined if not one.faults
        ]
        return good, [*report.malformed, *refused]

    async def examine(
        self,
        requests: Sequence[ReindexRequest],
        known: Looked | None = None,
        *,
        privileges: bool = True,
        named: bool = True,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> AdmissionReport:
        """Everything that speaks against each request.

        `known`: all indices of the cluster, where they were looked at just now. `privileges` False:
        ours are not asked for; `named` False: nobody has named them, they are all that is too old.
        `reach`: of the caller; nothing is said of an index beyond it, not even whether it is there.
        `credentials`: of the caller, whose privileges are asked for with them.

        Raises `MixedVersions`, `ClusterTrouble`, `StoreTrouble`.
        """
        running = await self._surroundings.one_major()
        wanted, malformed = self._well_formed(requests, self._major or running)
        wanted, beyond = _within(wanted, reach)
        live = await self._operations.live_names()
        new = [entry for entry in wanted if entry.index_name not in live]
        facts = Facts(known or Looked(), {}, running)
        if new:
            facts = await self._facts(new, known, running, reach)
            new = await self._behind(new, facts.looked)
        found: dict[IndexName, Sequence[Refused]] = {
            entry.index_name: _hidden(entry, facts.looked, reach)
            or _faults(entry, facts, named=named)
            for entry in new
        }
        if privileges:
            innocent = [entry for entry in new if not found[entry.index_name]]
            found |= await self._faults_of_caller(innocent, wanted, facts.looked, credentials)
            innocent = [entry for entry in innocent if not found[entry.index_name]]
            found |= await self._privilege_faults(innocent, facts.looked, requests)
        by_name = {entry.index_name: entry for entry in (*wanted, *new)}
        examined = [
            Examined(by_name[name], found.get(name, ()), live=name in live)
            for name in (entry.index_name for entry in wanted)
        ]
        return AdmissionReport(examined, [*malformed, *beyond], facts)

    async def _facts(
        self, new: Sequence[Wanted], known: Looked | None, running: int, reach: Reach
    ) -> Facts:
        looked = known
        if looked is None:
            looked = await self._cluster.indices.look_at_all(
                [name for entry in new for name in (entry.index_name, entry.new_index_name)]
            )
        return Facts(
            looked,
            await self._cluster.indices.data_streams(),
            running,
            await self._operations.completed_targets([entry.index_name for entry in new]),
            await self._operations.leftover_targets(),
            (await self._surroundings.versions())[0].parts,
            await self._leaders(new, looked),
            reach,
        )

    async def _leaders(self, new: Sequence[Wanted], looked: Looked) -> Collection[str]:
        """Of many names it is seen when their turns come, before they are blocked."""
        names = [entry.source_name for entry in new if entry.source_name in looked]
        return await self._cluster.shards.leaders(names) if len(names) <= MOST_LEADERS else ()

    async def _behind(self, new: Sequence[Wanted], looked: Looked) -> Sequence[Wanted]:
        """A name that a rollback has made the alias of a kept copy stands for that."""
        aliases = [entry.index_name for entry in new if looked.holders(entry.index_name)]
        if not aliases:
            return new
        behind = await self._kept_copies.behind(aliases)
        return [
            replace(entry, concrete_name=behind[entry.index_name])
            if looked.holders(entry.index_name) == [behind.get(entry.index_name)]
            else entry
            for entry in new
        ]

    async def _faults_of_caller(
        self,
        innocent: Sequence[Wanted],
        wanted: Sequence[Wanted],
        looked: Looked,
        credentials: str | None,
    ) -> dict[IndexName, list[Refused]]:
        """What the caller lacks for those that are new, and for the live ones among `wanted`."""
        if credentials is None:
            return {}
        needs = {entry.index_name: _need(entry, looked) for entry in innocent}
        live = await self._operations.live_of([entry.index_name for entry in wanted])
        new = await self._caller_privileges.missing(needs, credentials)
        begun = await self._caller_privileges.missing_of(live, credentials)
        lacking = new | {one.index_name: begun[one.id] for one in live if one.id in begun}
        return {name: [CallerLacksPrivileges(name, lacks)] for name, lacks in lacking.items()}

    async def _privilege_faults(
        self,
        entries: Sequence[Wanted],
        looked: Looked,
        requests: Sequence[ReindexRequest],
    ) -> dict[IndexName, list[Refused]]:
        needs = {entry.index_name: _need(entry, looked) for entry in entries}
        lacking = await self._surroundings.missing_privileges(list(needs.values()))
        if lacking:
            log.warning(
                "privileges_missing", indices=len(lacking), first=next(iter(lacking.items()))
            )
        given = {request.index_name: request.new_index_name for request in requests}
        return {
            name: [MissingPrivileges(name, given[name], lacking[need.index])]
            for name, need in needs.items()
            if need.index in lacking
        }

    def _well_formed(
        self, requests: Sequence[ReindexRequest], major: int
    ) -> tuple[list[Wanted], list[RefusedName]]:
        """What was asked for with names checked by their form; a name twice counts once."""
        wanted: dict[IndexName, Wanted] = {}
        refused: list[RefusedName] = []
        for request in requests:
            try:
                entry = self._wanted(request, major)
            except InvalidIndexName as error:
                refused.append(RefusedName(request.index_name, error))
                continue
            if entry.index_name in wanted:
                refused.append(RefusedName(entry.index_name, AlreadyInProgress(entry.index_name)))
            else:
                wanted[entry.index_name] = entry
        return list(wanted.values()), refused

    def _wanted(self, request: ReindexRequest, major: int) -> Wanted:
        name, given = IndexName(request.index_name), request.new_index_name
        keep = request.keep_old_index
        if keep is None:
            keep = self._defaults.keep_old_index
        return Wanted(
            index_name=name,
            new_index_name=IndexName(given) if given is not None else target_name(name, major),
            keeps_source=request.keeps_source,
            delete_old_index=request.delete_old_index,
            mode=request.mode,
            proof_level=request.proof or self._defaults.proof,
            keep=keep and not request.keeps_source,  # it stays as it is anyway
            leaves_followers=request.leaves_followers,
            pace=request.pace,
        )


def _within(wanted: Sequence[Wanted], reach: Reach) -> tuple[list[Wanted], list[RefusedName]]:
    """What is within reach by the names that the caller knows, and what is not."""
    beyond: dict[IndexName, RefusedName] = {}
    for entry in wanted:
        try:
            reach.require(entry.index_name, entry.new_index_name)
        except OutOfReach as error:
            beyond[entry.index_name] = RefusedName(entry.index_name, error)
    return [entry for entry in wanted if entry.index_name not in beyond], list(beyond.values())


def _hidden(entry: Wanted, looked: Looked, reach: Reach) -> list[Refused]:
    """A name that stands for an index beyond reach: as an alias, or since a rollback."""
    if not reach.covers(entry.source_name, *looked.holders(entry.index_name)):
        return [OutOfReach(entry.index_name, stands_for_others=True)]
    if not reach.covers(*looked.holders(entry.new_index_name)):
        return [OutOfReach(entry.new_index_name, stands_for_others=True)]
    return []


def _faults(entry: Wanted, facts: Facts, *, named: bool) -> Sequence[Refused]:
    if found := faults(entry, facts):
        return found
    fault = None if named else unnamed_refusal(entry.index_name)
    return [fault] if fault else []


def _need(entry: Wanted, looked: Looked) -> Need:
    """With any name of a kept copy: its own is not known before it is queued."""
    kept = kept_name(entry.index_name, "0" * 32) if entry.keep else None
    aliases = looked[entry.source_name].aliases
    return Need(entry.source_name, entry.new_index_name, aliases, kept)
