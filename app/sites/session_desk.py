"""The desk for sessions: begins and ends them, and says what their login is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from app.domain import clock
from app.domain.errors import SecretUnusable, StoreTrouble
from app.domain.session import PageSession, new_session_id, session_digest
from app.sealing import Sealing
from app.store.sessions import Sessions, session_seal
from app.telemetry import logger

log = logger(__name__)

NOTED_EVERY = timedelta(minutes=1)
"""When a session was last used is written no more often: a write a request would be felt."""
MOST_REMEMBERED = 1_000


class SessionDesk:
    """Where no secret can be stored, a login stays in the memory of this
    process, and the session ends with it."""

    def __init__(
        self,
        sessions: Sessions,
        sealing: Sealing,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`ready`: waits until it is known whether the database was restored."""
        self._ready = ready
        self._sessions = sessions
        self._sealing = sealing
        self._remembered: OrderedDict[str, str] = OrderedDict()

    async def begin(self, caller: str, authorization: str) -> tuple[str, PageSession]:
        """The id for the browser, and the session. Raises `StoreTrouble`."""
        session_id, now = new_session_id(), clock.now()
        digest = session_digest(session_id)
        try:
            sealed = self._sealing.close(authorization, session_seal(digest))
        except SecretUnusable:
            sealed = None
        session = PageSession(
            digest=digest,
            caller=caller,
            created_at=now,
            last_used_at=now,
            authorization=sealed,
        )
        for ended in await self._sessions.create(session):
            self._remembered.pop(ended, None)
        if sealed is None:
            self._remember(digest, authorization)
        log.info("session_begun", caller=caller)
        return session_id, session

    async def find(self, session_id: str) -> PageSession | None:
        """One that is not over. Raises `StoreTrouble`."""
        if self._ready:
            await self._ready()
        digest = session_digest(session_id)
        session = await self._sessions.find(digest)
        if session is None or session.is_over(clock.now()):
            self._remembered.pop(digest, None)
            return None
        return session

    async def login_of(self, session_id: str, *, in_use: bool) -> str | None:
        """What its caller logged in with, as the value of an `Authorization` header; None: the
        session is over. `in_use`: somebody does something, so that it is not idle.

        Raises `StoreTrouble`.
        """
        session = await self.find(session_id)
        if session is None:
            return None
        login = self._login_of(session)
        if login is not None and in_use:
            await self._note_use(session)
        return login

    async def end(self, session_id: str) -> None:
        """Raises `StoreTrouble`."""
        digest = session_digest(session_id)
        self._remembered.pop(digest, None)
        await self._sessions.end(digest)

    def _login_of(self, session: PageSession) -> str | None:
        if session.authorization is None:
            return self._remembered.get(session.digest)
        try:
            return self._sealing.open(
                session.authorization, session_seal(session.digest), hides=False
            )
        except SecretUnusable as error:
            log.info("session_unusable", caller=session.caller, reason=error.message)
            return None

    async def _note_use(self, session: PageSession) -> None:
        now = clock.now()
        if now - session.last_used_at < NOTED_EVERY:
            return
        try:
            await self._sessions.note_use(session.digest, now)
        except StoreTrouble as error:
            log.warning("session_use_not_noted", reason=error.message)

    def _remember(self, digest: str, authorization: str) -> None:
        self._remembered[digest] = authorization
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
