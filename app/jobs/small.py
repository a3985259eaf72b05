"""Small jobs: one phase, for whose end a client may wait; nothing else waits for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from app.domain.errors import Failure, ReindexQueueError
from app.domain.failure import FailureClass, FailureDetails
from app.domain.holds import HoldCause
from app.domain.job import Job
from app.domain.operation import Changes
from app.domain.state import Goal
from app.elastic.cluster import Cluster
from app.jobs.phases import Done, Hold, Outcome, Phase, PhaseFunction, Route, Work


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
