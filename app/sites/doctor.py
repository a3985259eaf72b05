"""The doctor: what is wrong with everything the queue needs, and how to mend it, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.copying.pace import Pacing
from app.copying.tasks import HEADER_DROPPED, HEADER_REMEDY
from app.domain import clock
from app.domain.brief import Brief
from app.domain.errors import OtherCluster, OtherDatabase, ReindexQueueError, StoreTrouble
from app.domain.formatting import duration_text
from app.domain.job import LIVE_STATES
from app.domain.names import IndexName, target_name
from app.domain.reach import EVERYTHING, Reach
from app.domain.remedies import Command, Setting
from app.elastic.answers import Version
from app.elastic.cluster import ClusterView
from app.jobs.ownership import ClusterOwnership
from app.jobs.term import ClusterIdentity
from app.jobs.worker import Worker
from app.sealing import KeysReport, Sealing
from app.sites.checkup import IN_HAND, PING_SECONDS, Checkup
from app.store.listing import Filter
from app.store.store import Store
from app.upgrades.leftovers import Leftovers, leftovers
from app.upgrades.privileges import Need, missed, missing

OLDEST = (7, 17)
NEWEST_MAJOR = 9
LONG_SECONDS = 60.0
"""A hold shorter than this passes by itself more often than not."""
MOST_HELD = 10
NAMES_A_QUESTION = 500
MARK_REMEDY = (
    f"Grant the user of {Setting.USERNAME} or {Setting.API_KEY} manage on the cluster, or at least "
    "monitor and cluster:admin/settings/update. Until then see to it yourself that no two services "
    "work on copies of one database."
)
ANY = IndexName("reindex-queue-any")
"""Asked for where no operation is there: who may reindex one index may usually reindex all."""


class Severity(StrEnum):
    """`UNKNOWN`: it could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """`remedy`: what to do about it, None where nothing has to be done."""

    name: str
    verdict: Severity
    finding: str
    remedy: str | None = None


class Doctor:
    """Looks at everything; one trouble does not hide another."""

    def __init__(
        self,
        store: Store,
        cluster: ClusterView,
        checkup: Checkup,
        worker: Worker,
        pacing: Pacing,
        cluster_identity: ClusterIdentity,
        ownership: ClusterOwnership,
        sealing: Sealing,
    ) -> None:
        self._sealing = sealing
        self._cluster_identity = cluster_identity
        self._ownership = ownership
        self._store = store
        self._cluster = cluster
        self._checkup = checkup
        self._worker = worker
        self._pacing = pacing

    async def examine(self, reach: Reach = EVERYTHING) -> list[Check]:
        """Names no index that is not within `reach`."""
        checks = [await self._database()]
        stored = checks[0].verdict is Severity.OK
        checks += [await self._role(reach) if stored else _unknown("worker", "the database")]
        held = await self._holds(reach) if stored else [_unknown("queue", "the database")]
        keys = of_keys(self._sealing.report())
        return [*await self._elasticsearch(reach, stored=stored), *checks, *held, *keys]

    async def _database(self) -> Check:
        try:
            await self._store.check(PING_SECONDS)
        except StoreTrouble as error:
            remedy = (
                "Start the database and give the service its rights there, or correct "
                f"{Setting.DATABASE} and start the service again."
            )
            return Check("database", Severity.WRONG, error.message, remedy)
        return Check("database", Severity.OK, f"{self._store.kind} answers")

    async def _elasticsearch(self, reach: Reach, *, stored: bool) -> list[Check]:
        report = await self._checkup.cluster()
        names = ("cluster", "versions", "privileges", "headers", "leftovers")
        if report.error:
            remedy = "Queued operations wait for it and go on by themselves."
            away = Check("elasticsearch", Severity.WRONG, report.error, remedy)
            return [away, *(_unknown(name, "Elasticsearch") for name in names)]
        shown = ", ".join(version.number for version in report.versions)
        reached = Check("elasticsearch", Severity.OK, f"answers, version {shown}")
        identity = await self._cluster_itself() if stored else _unknown("cluster", "the database")
        rights = await self._privileges(reach) if stored else _unknown("privileges", "the database")
        well = identity.verdict is Severity.OK
        mark = await self._mark() if well else None
        marks = [mark] if mark and mark.verdict is not Severity.OK else []  # shown where it matters
        left = await self._leftovers(reach) if well else _unknown("leftovers", "the right cluster")
        header = await self._header()
        return [reached, identity, *marks, of_versions(report.versions), rights, header, left]

    async def _header(self) -> Check:
        try:
            back = await self._cluster.tasks.header_comes_back()
        except ReindexQueueError as error:
            return Check("headers", Severity.UNKNOWN, error.message)
        if back:
            return Check("headers", Severity.OK, "X-Opaque-Id reaches Elasticsearch")
        return Check("headers", Severity.WARNING, HEADER_DROPPED, HEADER_REMEDY)

    async def _cluster_itself(self) -> Check:
        try:
            await self._cluster_identity.check(anew=True)
        except OtherCluster as error:
            return Check("cluster", Severity.WRONG, error.finding, error.remedy)
        except ReindexQueueError as error:
            return Check("cluster", Severity.UNKNOWN, error.message)
        return Check("cluster", Severity.OK, "the one that the database is about")

    async def _mark(self) -> Check:
        """Whether this database is the one that works on the cluster."""
        try:
            seen = await self._ownership.look()
            own = (await self._store.ownerships.known()).own
        except OtherDatabase as error:
            return Check("mark", Severity.WRONG, error.finding, error.remedy)
        except ReindexQueueError as error:
            return Check("mark", Severity.UNKNOWN, error.message)
        if refusal := self._ownership.refusal:
            finding = (
                "it is not seen whether a copy of this database, or another, works on the cluster: "
                f"{refusal}"
            )
            return Check("mark", Severity.WARNING, finding, MARK_REMEDY)
        if seen != own:
            finding = "the cluster does not have it; the worker leaves it before its next change"
            return Check("mark", Severity.OK, finding)
        return Check("mark", Severity.OK, f"this database works on the cluster, term {own.term}")

    async def _leftovers(self, reach: Reach) -> Check:
        try:
            left = await leftovers(self._store, self._cluster)
        except ReindexQueueError as error:
            return Check("leftovers", Severity.UNKNOWN, error.message)
        return of_leftovers(left.within(reach))

    async def _privileges(self, reach: Reach) -> Check:
        try:
            if not await self._cluster.security.is_on():
                return Check("privileges", Severity.OK, "the cluster has no security to ask")
            return await self._lacking(reach)
        except ReindexQueueError as error:
            return Check("privileges", Severity.UNKNOWN, error.message)

    async def _lacking(self, reach: Reach) -> Check:
        """For the first live operations; without any, what every operation needs."""
        seen = Filter(LIVE_STATES, reach=reach)
        live = await self._store.listing.page(seen, NAMES_A_QUESTION // 2)
        needs = [Need(IndexName(b.index_name), IndexName(b.new_index_name)) for b in live]
        major = (await self._cluster.nodes.versions())[0].major
        anything = Need(ANY, target_name(ANY, major))
        lacking = await missing(self._cluster, needs or [anything], major)
        faults = list(dict.fromkeys(word for words in lacking.values() for word in words))
        for need in needs[:MOST_HELD]:
            if await self._cluster.security.restriction_on(need.index):
                faults.append(f"all documents and fields of {need.index}")
        remedy = f"Grant these to the user of {Setting.USERNAME} or {Setting.API_KEY}."
        if faults:
            finding = f"the service's user lacks {_some(faults, '; ')}"
            return Check("privileges", Severity.WRONG, finding, remedy)
        absent = await missed(self._cluster)
        if absent:
            said = _some([f"{one.privilege} (without it {one.without})" for one in absent], "; ")
            return Check("privileges", Severity.WARNING, f"the service's user lacks {said}", remedy)
        return Check("privileges", Severity.OK, "the service's user has all it needs")

    async def _role(self, reach: Reach) -> Check:
        report = self._worker.report
        if reach.limited:
            report = report.told_in_part()
        if not report.alive:
            said = f"the worker is {report.state}" + (f": {report.error}" if report.error else "")
            remedy = "See the service's log; a worker that was stopped needs a new start."
            return Check("worker", Severity.WRONG, said, remedy)
        if report.at_work and report.error:
            said = f"{report.state}; it has crashed a moment ago: {report.error}"
            return Check("worker", Severity.WARNING, said, "See the service's log.")
        if report.at_work:
            return Check("worker", Severity.OK, f"{report.state}; this service has the worker role")
        try:
            holder = await self._store.role.holder()
        except StoreTrouble as error:
            return Check("worker", Severity.UNKNOWN, error.message)
        if holder:
            return Check("worker", Severity.OK, f"{report.state}; {holder} has the worker role")
        finding = f"{report.state}; nobody has the worker role at this moment"
        return Check("worker", Severity.WARNING, finding, "Ask again in some seconds.")

    async def _holds(self, reach: Reach) -> list[Check]:
        try:
            in_hand = await self._store.listing.page(Filter(IN_HAND, reach=reach), MOST_HELD)
            limits = await self._pacing.limits(in_hand)
            pace = await self._pacing.service()
        except StoreTrouble as error:
            return [Check("queue", Severity.UNKNOWN, error.message)]
        if pace.stop:
            remedy = f"To let everything go on: {Command.GO_ON}"
            return [Check("queue", Severity.WARNING, pace.limit.reason, remedy)]
        held = [_of_hold(b) for b in in_hand if b.hold_reason and not limits[b.id].closed]
        finding = pace.limit.closed or "nothing is held up"
        return held or [Check("queue", Severity.OK, finding)]


def _unknown(name: str, because: str) -> Check:
    return Check(name, Severity.UNKNOWN, f"not looked at, since {because} is away")


def of_versions(versions: list[Version]) -> Check:
    """One supported major, or what is wrong with it. `versions`: oldest first, at least one."""
    shown = ", ".join(version.number for version in versions)
    if versions[0].major != versions[-1].major:
        return Check(
            "versions",
            Severity.WRONG,
            f"the nodes have different major versions: {shown}",
            "Finish the upgrade of all nodes; operations wait until then.",
        )
    if versions[0].parts < OLDEST:
        remedy = "Upgrade the cluster to 7.17 first."
        return Check("versions", Severity.WRONG, f"{shown} is older than 7.17", remedy)
    if versions[-1].major > NEWEST_MAJOR:
        remedy = "Use a newer release of Reindex Queue."
        return Check("versions", Severity.WARNING, f"{shown} is newer than this release", remedy)
    return Check("versions", Severity.OK, "one major, and a supported one")


def of_keys(report: KeysReport) -> list[Check]:
    """Nothing where no key is set: nothing that is stored needs one."""
    if report.fault is None:
        finding = f"{report.number}, of which the first encrypts" if report.number > 1 else "one"
        return [Check("secret keys", Severity.OK, finding)]
    if report.fault.code == "no_keys":
        return []
    remedy = f"Correct {Setting.SECRET_KEYS}. Until then what needs a stored secret is refused."
    return [Check("secret keys", Severity.WRONG, report.fault.message, remedy)]


def of_leftovers(left: Leftovers) -> Check:
    """What is there, by name, and how to take it away."""
    findings: list[str] = []
    remedies: list[str] = []
    if left.indices:
        findings.append(f"made by operations that are not in hand here: {_some(left.indices)}")
        remedies.append(
            "Unless another Reindex Queue works on this cluster: see whether anybody needs these "
            "indices, and delete by hand what nobody does."
        )
    if left.markers:
        findings.append(f"with a marker alias: {_some([name for name, _ in left.markers])}")
        name, marker = left.markers[0]
        remedies.append(f"To take such a marker off: DELETE /{name}/_alias/{marker}")
    if not findings:
        return Check("leftovers", Severity.OK, "nothing is left of operations that are not in hand")
    return Check("leftovers", Severity.WARNING, "; ".join(findings), " ".join(remedies))


def _some(words: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return f"{between.join(words[:5])}{more}"


def _of_hold(brief: Brief) -> Check:
    assert brief.hold_since is not None
    seconds = clock.elapsed(brief.hold_since)
    tried = f"tried {brief.attempts} times" if brief.attempts > 1 else "tried once"
    return Check(
        "queue",
        Severity.WRONG if seconds >= LONG_SECONDS else Severity.WARNING,
        f"{brief.index_name} has waited for {duration_text(seconds)} ({tried}): "
        f"{brief.hold_reason}",
        "It goes on by itself once that is over. To take it out of the queue: "
        f"{Command.CANCEL} {brief.index_name}",
    )
