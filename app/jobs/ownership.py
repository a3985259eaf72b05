"""Whether this database is the one that works on its cluster: a mark there says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.domain.clock import boot_seconds
from app.domain.errors import ClusterRefused, OtherDatabase
from app.domain.ownership import Conflict, Finding, Mark
from app.elastic.cluster import Cluster, ClusterView
from app.store.ownership import Ownerships
from app.telemetry import logger

log = logger(__name__)

MARK_SECONDS = 600.0
"""So old may the mark be while something is changed: a copy of the database that was made before
that, and is put in its place, finds one that it does not know."""
LOOK_SECONDS = 60.0
"""So old may the last look at the mark be while something is changed. Two copies of one database
work at the same time no longer than this."""


@dataclass
class _Term:
    """`mark`: saved for it; None before. `left_at`: when it was seen in the cluster, or left there,
    by the boot clock; `made_at`: when it
    was made."""

    cluster: Cluster
    token: str
    mark: Mark | None = None
    left_at: float | None = None
    made_at: float = 0.0


class ClusterOwnership:
    """Before anything is changed in a term, and once a minute while something is, it is looked for
    the mark of another; at the start of the term this database's own is left in the cluster.

    `refusal`: why the mark cannot be read or left; then the service goes on without.
    """

    def __init__(self, ownerships: Ownerships, cluster: ClusterView) -> None:
        self._ownerships = ownerships
        self._view = cluster
        self._term: _Term | None = None
        self._lock = asyncio.Lock()
        self._looked = asyncio.Event()
        self._kept = self._has_worked = False
        self.refusal: str | None = None

    def begin(self, cluster: Cluster, token: str) -> None:
        """A term begins; `cluster` changes something only while its lease is held."""
        self._term = _Term(cluster, token)

    def end(self) -> None:
        """The term is over."""
        self._term = None

    async def check(self) -> None:
        """Before something is changed. Raises `OtherDatabase`, `ClusterTrouble`, `StoreTrouble`."""
        term = self._term
        assert term is not None, "a term has begun"
        async with self._lock:
            if term.left_at is None or boot_seconds() - term.left_at > LOOK_SECONDS:
                await self._look(term, changing=True)

    async def look(self) -> Mark | None:
        """Looks, and at the start of a term leaves the mark, unless this database has never worked
        here and another one has: it does that when it has something to do.

        Answers the mark that was seen. Raises as `check`.
        """
        async with self._lock:
            return await self._look(self._term, changing=False)

    async def conflict(self) -> Conflict | None:
        """What keeps this database from changing anything, as far as any of its services has seen.
        Raises `StoreTrouble`."""
        return (await self._ownerships.known()).conflict

    async def is_new(self) -> bool:
        """True where this database has never changed anything there. Raises `StoreTrouble`."""
        if not self._has_worked:  # what is so once stays so: it need not be asked at each look
            known = await self._ownerships.known()
            self._has_worked = bool(known.own.writer) or known.conflict is not None
        return not self._has_worked

    async def refuse(self) -> None:
        """Raises `OtherDatabase` where something does, `StoreTrouble`."""
        if conflict := await self.conflict():
            raise OtherDatabase(conflict)

    async def kept(self) -> bool:
        """As `conflict`, and asks the database only where one was met before."""
        if self._kept:
            self._kept = await self.conflict() is not None
        return self._kept

    async def first_look(self, seconds: float) -> None:
        """Waits until this process has looked once, or could not, or for so long."""
        try:
            await asyncio.wait_for(self._looked.wait(), seconds)
        except TimeoutError:
            log.warning("mark_not_seen_yet", seconds=seconds)

    def note_first_look(self) -> None:
        self._looked.set()

    async def _look(self, term: _Term | None, *, changing: bool) -> Mark | None:
        try:
            await self.refuse()  # what is known needs no request, and lasts
            try:
                seen = await (term.cluster if term else self._view).marks.seen(
                    self._ownerships.cluster_id
                )
            except ClusterRefused as error:
                self._note_refusal(error, term)
                return None
            finding, conflict = await self._ownerships.weigh(seen)
            if conflict:
                raise OtherDatabase(conflict)
        except OtherDatabase:
            self._kept = True
            if term:  # what goes on after a person has decided is another term of the database
                term.mark = term.left_at = None
            raise
        if term and (changing or finding is not Finding.NEW):
            await self._leave(term, seen)
        return seen

    async def _leave(self, term: _Term, seen: Mark | None) -> None:
        if term.mark is None or boot_seconds() - term.made_at > MARK_SECONDS:
            term.mark = await self._ownerships.begin_term(term.token, seen)
            term.made_at = boot_seconds()
        if seen != term.mark:
            try:
                await term.cluster.marks.leave(self._ownerships.cluster_id, term.mark)
            except ClusterRefused as error:
                self._note_refusal(error, term)
                return
            finally:
                term.cluster.take_notes()  # told with the term
        self.refusal = None
        term.left_at = boot_seconds()

    def _note_refusal(self, error: ClusterRefused, term: _Term | None) -> None:
        """It goes on without: many a role lacks the privilege."""
        if self.refusal is None:
            log.warning("mark_refused", reason=error.message)
        self.refusal = error.message
        if term:
            term.left_at = boot_seconds()
