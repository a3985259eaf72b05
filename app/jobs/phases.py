"""Phases: what a job of any kind goes through, one after the other, what each can answer, and
what the machine asks about the pace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from app.domain.errors import Failure, ReindexQueueError
from app.domain.events import Note
from app.domain.failure import FailureClass, FailureDetails
from app.domain.holds import HoldCause
from app.domain.job import Goal, Job
from app.domain.names import IndexName
from app.domain.operation import FULL_UP_TO, Changes, FullUpTo, Step
from app.domain.pace import Limit
from app.domain.progress import Measured
from app.domain.windows import Watch, Window
from app.elastic.cluster import Cluster, ClusterView


class Allowance(Protocol):
    """What the rate in force leaves for the next tasks."""

    def due(self) -> float:
        """Seconds until the next task may start."""
        ...

    def take(self, documents: int, rate: float) -> None:
        """So many are copied now; `rate`: documents a second."""
        ...


class Pacer(Protocol):
    """Every question raises `StoreTrouble`."""

    async def service(self) -> Limit:
        """That of a job for which nothing of its own is said."""
        ...

    async def limit(self, job: Job) -> Limit:
        """What is in force for it now."""
        ...

    def allowance(self, job: Job, limit: Limit) -> Allowance:
        """What the rate in force leaves, counted together for all that share it."""
        ...

    async def look_after(self, job: Job, cluster: ClusterView, token: str) -> bool:
        """Asks the cluster how it does, if it is time; True where that has changed the limit."""
        ...

    def leave(self, job: Job) -> None:
        """It is not in hand any more."""
        ...


J = TypeVar("J", bound=Job)
"""The kind's own class of jobs."""


@dataclass(frozen=True)
class Done:
    """The phase's effect is in place. `anew`: the windows there were are forgotten.

    `uses`: indices that no other job may use from now on; where one is in use, only `made` is saved
    of it. `of_another`: what is saved of another job with it, unless that one has changed since.
    Neither belongs into a phase that is joined with the next.
    """

    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    anew: bool = False
    uses: Sequence[IndexName] = ()
    made: Changes = field(default_factory=Changes)
    of_another: tuple[Job, Changes] | None = None


@dataclass(frozen=True)
class Again:
    """The phase got on, but is not done; call it again after `after` seconds.

    `anew`: the windows there were are forgotten, the copy begins anew. `maybe_sent`: the next
    call is told so (`Work.maybe_sent`), since an answer was lost.
    """

    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    after: float = 0.0
    anew: bool = False
    maybe_sent: bool = False


@dataclass(frozen=True)
class Hold:
    """The phase waits for something outside and says for what; seconds until the next look.

    `cause`: the kind of thing that is waited for. `patient`: it is waited for whatever the policy
    says; making room for others would not help.
    """

    cause: HoldCause
    reason: str
    retry_after: float = 1.0
    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    patient: bool = False


Outcome = Done | Again | Hold


@dataclass(frozen=True)
class Limits:
    """How the copy is cut and how much of it runs at once.

    `window_documents` documents a window, at most `batch_documents` a batch (`source.size`); how
    many windows there are at once is a matter of the pace. A window that would take more than
    `window_seconds` is cut again before it starts; one of at most `synchronous_documents` that fits
    into one batch is copied by one request that waits for its end, without a task. A kept copy
    stays for `keep_days`. A target whose primary is lost is waited for for `lost_seconds`. A hold
    that has kept writes blocked for `block_seconds` (0: never) is told, and ends if `gives_back`.
    No index is blocked that is in no snapshot of the last `snapshot_seconds` (0: whether or not).
    Up to `full_up_to` every document is compared, where nobody has said how.
    """

    window_documents: int = 500_000
    batch_documents: int = 2_000
    window_seconds: float = 60.0
    synchronous_documents: int = 1_000
    keep_days: float = 7.0
    lost_seconds: float = 600.0
    block_seconds: float = 14_400.0
    gives_back: bool = False
    snapshot_seconds: float = 0.0
    full_up_to: FullUpTo = FULL_UP_TO


async def _no_history() -> Sequence[Measured]:
    return ()


@dataclass(frozen=True)
class Work(Generic[J]):
    """What a phase is given: the job, its windows in order, and the copy's limits.

    `maybe_sent`: an answer may have been lost before this call (a crash, a cut), so what a phase
    would start may be running already. `limit` is the pace in force, `allowance` what it leaves
    now. `history` answers what the newest completed operations say of how long one takes. `watch`:
    which tasks cannot be seen but may still write.
    """

    job: J
    windows: tuple[Window, ...]
    limits: Limits
    maybe_sent: bool
    limit: Limit
    allowance: Allowance
    history: Callable[[], Awaitable[Sequence[Measured]]] = _no_history
    watch: Watch = field(default_factory=Watch)


PhaseFunction = Callable[[Work[J], Cluster], Awaitable[Outcome]]


def always(_: Any) -> bool:
    return True


def _nothing_left(_: Any) -> tuple[str, Changes]:
    return "something of it may be left", {}


@dataclass(frozen=True)
class Phase(Generic[J]):
    """One entry of a route.

    `name` is stored as the position once the phase is finished, and so never changes. `run` looks
    first whether its effect is there, acts only where it is not, and looks again; it never saves.
    `applies`: for which jobs there is something to do.

    `kibana_step`: the number that Kibana's answers show from then on. `joined`: what it did may be
    done again, so that it is saved together with the outcome of the next phase; never where the
    next effect relies on it. `past_return`: once it is finished nothing rolls back by itself.
    `watches`: it may look at what is going on as often as it likes, without anything new to save.

    On a way back: `refused` is what is waited for where Elasticsearch refuses it, and `left_out`
    says what may be left where it is given up, and what has to be saved for that.
    """

    name: str
    run: PhaseFunction[J]
    kibana_step: Step | None = None
    joined: bool = False
    past_return: bool = False
    watches: bool = False
    applies: Callable[[J], bool] = always
    refused: HoldCause = HoldCause.UNDO_REFUSED
    left_out: Callable[[J], tuple[str, Changes]] = _nothing_left

    def finished(self) -> Changes:
        """What is saved of the position, on the route to the end."""
        changes: Changes = {"position": self.name}
        if self.kibana_step is not None:
            changes["last_completed_step"] = self.kibana_step
        if self.past_return:
            changes["past_return"] = True
        return changes


class UnknownPosition(Exception):
    """A position that no phase of this release has: another release has worked on it."""

    def __init__(self, position: str) -> None:
        super().__init__(
            f"this release of Reindex Queue has no phase {position!r}, after which the operation "
            "is to go on; start the release that began it, or cancel it"
        )


class Route(Generic[J]):
    """Phases in order. Raises `ValueError` where two have one name."""

    def __init__(self, *phases: Phase[J]) -> None:
        self._phases = phases
        self._places = {phase.name: place for place, phase in enumerate(phases)}
        if len(self._places) != len(phases):
            raise ValueError("two phases of a route have one name")

    def __iter__(self) -> Iterator[Phase[J]]:
        return iter(self._phases)

    def after(self, position: str, job: J) -> Phase[J] | None:
        """The first phase behind `position` that applies to `job`; None at the end.

        Raises `UnknownPosition`.
        """
        following = self._phases[self._place(position) + 1 :]
        return next((phase for phase in following if phase.applies(job)), None)

    def has_passed(self, position: str, phase: str) -> bool:
        """True where `phase` comes before `position`, or is it. Raises `UnknownPosition`."""
        return self._place(position) >= self._place(phase)

    def _place(self, position: str) -> int:
        if not position:
            return -1
        if position not in self._places:
            raise UnknownPosition(position)
        return self._places[position]


class Kind(Protocol[J]):
    """A kind of job: `name` is stored, `routes` lead to each goal.

    The machine asks it for what only the kind can know.
    """

    name: str
    routes: Mapping[Goal, Route[J]]

    def held_back(self, work: Work[J], phase: Phase[J], /) -> Outcome | None:
        """What is done instead of `phase` under the pace in force: a stop, the end of the hours.

        Raises `Failure`.
        """
        ...

    def remedy(self, hold: Hold, job: J, /) -> PhaseFunction[J] | None:
        """What is done about the cause of `hold`, answered in its place; None: it is waited."""
        ...

    def answered(self, job: J, error: ReindexQueueError, /) -> Done | None:
        """The end of a job whose client is told `error`; None: it is judged as any other."""
        ...

    def explained(self, job: J, error: Failure, phase: str, /) -> FailureDetails: ...

    def keeps_result(self, job: J, cause: HoldCause, /) -> bool:
        """True where what was made stays for a person to look at, after patience with `cause`."""
        ...

    def parked_at(self, job: J, /) -> Changes:
        """Where it goes on after it was parked, with the source in use meanwhile."""
        ...

    def as_not_begun(self, job: J, /) -> Changes:
        """What is forgotten of one that is given back, with nothing of it in the cluster."""
        ...


def phase_of(kind: Kind[J], job: J) -> Phase[J]:
    """The phase that is next on the route to the job's goal. Raises `UnknownPosition`."""
    forward = job.goal is Goal.FINISH
    position = job.position if forward else job.position_back
    phase = kind.routes[job.goal].after(position, job)
    if phase is None:
        raise UnknownPosition(position)
    return phase


class SmallKind(ABC):
    """A kind whose jobs are one phase. No pace holds it back, and there is nothing to undo."""

    name: str

    def __init__(self) -> None:
        forward: Route[Job] = Route(Phase(self.name, self.do))
        back: Route[Job] = Route()
        self.routes: Mapping[Goal, Route[Job]] = dict.fromkeys(Goal, back) | {Goal.FINISH: forward}

    @abstractmethod
    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome: ...

    def held_back(self, _work: Work[Job], _phase: Phase[Job], /) -> Outcome | None:
        return None

    def remedy(self, _hold: Hold, _job: Job, /) -> PhaseFunction[Job] | None:
        return None

    def answered(self, _job: Job, _error: ReindexQueueError, /) -> Done | None:
        return None

    def explained(self, _job: Job, _error: Failure, phase: str, /) -> FailureDetails:
        remedy = "Do what the message says, then ask again."
        return FailureDetails(kind=FailureClass.UNEXPECTED, step=phase, remedy=remedy)

    def keeps_result(self, _job: Job, _cause: HoldCause, /) -> bool:
        return False

    def parked_at(self, _job: Job, /) -> Changes:
        return {"position": ""}

    def as_not_begun(self, _job: Job, /) -> Changes:
        return {"position": ""}
