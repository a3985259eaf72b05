"""Keeps the copies to the pace: the worker's side of it."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace

from app.copying.gate import Gate, Probe, sentence
from app.copying.limit import Allowance, in_force
from app.copying.pace import Pacing
from app.domain import clock
from app.domain.errors import ReindexQueueError
from app.domain.events import EventKind, Note
from app.domain.job import Job
from app.domain.pace import Limit, Pace, Said, Scope
from app.domain.remedies import Setting
from app.elastic.cluster import ClusterView
from app.store.paces import Paces
from app.telemetry import logger

log = logger(__name__)

REMEMBERED_SECONDS = 1.0
"""So long is a pace that another service may have changed taken as it was read."""
PAUSE_SECONDS = 60.0
"""A look that is so late comes after a pause: nothing was copied."""
PATIENCE_SECONDS = 4.0
"""So long may it take to answer that."""


@dataclass
class _Read:
    said: Said
    at: float
    generation: int


@dataclass
class Governor:
    """The pace in force for each job, and the health gate. One for all operations in hand.

    `watch_seconds`: how often the cluster is asked how it does, while something is copied; None:
    the health gate is off. `probe`: a search that is measured as well.
    """

    pacing: Pacing
    paces: Paces
    who: str
    watch_seconds: float | None = 5.0
    probe: Probe | None = None
    _read: dict[str, _Read] = field(default_factory=dict[str, _Read])
    _copying: set[str] = field(default_factory=set[str])
    _allowances: dict[str, Allowance] = field(default_factory=dict[str, Allowance])
    _gate: Gate | None = None
    _next_look: float = 0.0

    async def service(self) -> Limit:
        """That of an operation for which nothing of its own is said."""
        return in_force(self.pacing.said(await self.paces.of_service()), clock.now())

    async def limit(self, job: Job) -> Limit:
        """What is in force for it now. Raises `StoreTrouble`."""
        said, now = await self._said(job), clock.now()
        blocked = job.writes_blocked
        if job.copies and in_force(said, now, blocked=blocked).closed is None:
            self._copying.add(job.id)
        else:
            self._copying.discard(job.id)
        return in_force(said, now, len(self._copying), blocked=blocked)

    def allowance(self, job: Job, limit: Limit) -> Allowance:
        """What the rate in force leaves, counted together for all that share it."""
        owners = {Scope.BATCH: job.batch_id, Scope.OPERATION: job.id}
        owner = owners.get(limit.rate_of or Scope.SERVICE) or "service"
        return self._allowances.setdefault(owner, Allowance())

    def leave(self, job: Job) -> None:
        """It is not in hand any more."""
        self._copying.discard(job.id)
        self._read.pop(job.id, None)
        self._allowances.pop(job.id, None)

    async def _said(self, job: Job) -> Said:
        known = self._read.get(job.id)
        generation, now = self.paces.generation, time.monotonic()
        fresh = known and known.generation == generation and now - known.at < REMEMBERED_SECONDS
        if known and fresh:
            return known.said
        found = await self.paces.of_service()
        own, batch = await self.paces.of_job(job.id)
        self._read[job.id] = _Read(self.pacing.said(found, batch, own), now, generation)
        return self._read[job.id].said

    # --- the health gate

    async def look_after(self, job: Job, cluster: ClusterView, token: str) -> bool:
        """Asks the cluster how it does, if it is time, and saves what that changes; True then.

        Whatever goes wrong with the question, the copy goes on with what is known. Raises
        `StoreTrouble`.
        """
        if not job.copies or time.monotonic() < self._next_look:
            return False
        pause = self.watch_seconds if self.watch_seconds is not None else math.inf
        now, due = time.monotonic(), self._next_look
        self._next_look = now + pause  # before the question: others do not ask too
        gate = self._gate or Gate((await self.paces.of_service()).health)
        if now - due > PAUSE_SECONDS + pause:
            gate = gate.after_a_pause()
        before = gate.health
        on = self.watch_seconds is not None
        gate = await self._ask(gate, job, cluster) if on else Gate()
        text = "; ".join(sentence(before, gate.health)) if on else "it is switched off"
        if before == gate.health or not text:
            self._gate = gate
            return False
        note = Note(
            what=EventKind.HEALTH_GATE,
            text=text,
            before=before.model_dump(mode="json"),
            after=gate.health.model_dump(mode="json"),
        )
        log.info("health_gate", change=text)
        await self.paces.save_health(token, gate.health, note, job, self.who)
        self._gate = gate  # not before: a save that failed would never be made up for
        return True

    async def _ask(self, gate: Gate, job: Job, cluster: ClusterView) -> Gate:
        most = _asked(await self._said(job))
        try:
            vitals = await asyncio.wait_for(cluster.nodes.vitals(), PATIENCE_SECONDS)
        except TimeoutError:
            return gate.blinded(f"no answer within {PATIENCE_SECONDS:g} s")
        except ReindexQueueError as error:
            return gate.blinded(error.message)
        failure = None if vitals.nodes else "no node told how it does"
        if self.probe:
            try:
                vitals = replace(vitals, searched=await _search(self.probe, cluster))
            except ReindexQueueError as error:
                failure = failure or _of_probe(self.probe, error, told=gate.health.blind)
        seen = gate.look(vitals, most, clock.now(), self.probe)
        return seen.blinded(failure) if failure else seen


def _of_probe(probe: Probe, error: ReindexQueueError, told: str | None) -> str:
    """What is shown, also to those who may not know of the probe's index; the log names it once."""
    text = f"the search probe ({Setting.SEARCH_PROBE}) failed: {error.code}"
    if text != told:
        log.warning("search_probe_failed", index=probe.index, reason=error.message)
    return text


async def _search(probe: Probe, cluster: ClusterView) -> float:
    """Seconds of a search; as many as were waited where there is no answer."""
    try:
        return await asyncio.wait_for(
            cluster.documents.search_seconds(probe.index), PATIENCE_SECONDS
        )
    except TimeoutError:
        return PATIENCE_SECONDS


def _asked(said: Said) -> int:
    """Windows at once without the gate."""
    paces: list[Pace] = [pace for _, pace in said.scopes()]
    return min(p.windows_in_flight for p in paces if p.windows_in_flight is not None)
