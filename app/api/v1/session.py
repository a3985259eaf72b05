"""`/api/v1/session`: begun, looked at and ended. Pages log in with it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.access import VIEWER, AllSites, Caller, entry_of
from app.api.door import SESSION_COOKIE, session_cookie, session_of
from app.api.logins import Presented
from app.api.v1 import documented
from app.domain.session import LONGEST, PageSession
from app.sites.session_desk import SessionDesk
from app.wire.session import SessionReport

router = APIRouter(prefix="/api/v1/session", tags=["Session"])


@router.get("", summary="Who am I?", dependencies=VIEWER, responses=documented.SESSION)
async def get_session(request: Request, sites: AllSites, caller: Caller) -> SessionReport:
    """Who asks, with which role and limits, and until when their session lasts."""
    return SessionReport.of(caller, await _session(sites.sessions, request))


@router.post("", summary="Log in", dependencies=VIEWER, responses=documented.SESSION)
async def begin_session(
    request: Request, response: Response, sites: AllSites, caller: Caller
) -> SessionReport:
    """Begins a session for whoever the `Authorization` header lets in, as a cookie that scripts
    cannot read, in the place of the one that there was.

    It ends when it was not used for 30 minutes, after 12 hours, at a logout, and when its login
    lets nobody in any more. The login is kept encrypted, or in memory where `REINDEX_SECRET_KEYS`
    is not set: the session then ends with the process.
    """
    present = session_of(request.scope)
    authorization = Presented.of(request.scope).authorization
    if entry_of(request) is None or not authorization:
        return SessionReport.of(caller, await _session(sites.sessions, request))
    session_id, session = await sites.sessions.begin(caller.name, authorization)
    if present is not None:
        await sites.sessions.end(present)
    response.set_cookie(
        session_cookie(request.scope),
        session_id,
        max_age=int(LONGEST.total_seconds()),
        path=request.app.state.base_path or "/",
        secure=_is_private(request),
        httponly=True,
        samesite="lax",
    )
    return SessionReport.of(caller, session)


@router.delete("", summary="Log out", dependencies=VIEWER, responses=documented.SESSION)
async def end_session(
    request: Request, response: Response, sites: AllSites, caller: Caller
) -> SessionReport:
    """Ends the session of the cookie, at once and at every service with the same database; also
    where its login lets nobody in any more."""
    if (session_id := session_of(request.scope)) is not None:
        await sites.sessions.end(session_id)
    response.delete_cookie(
        session_cookie(request.scope),
        path=request.app.state.base_path or "/",
        secure=_is_private(request),
        httponly=True,
        samesite="lax",
    )
    return SessionReport.of(caller, None)


async def _session(desk: SessionDesk, request: Request) -> PageSession | None:
    session_id = session_of(request.scope)
    return None if session_id is None else await desk.find(session_id)


def _is_private(request: Request) -> bool:
    """True where the browser must not send the cookie without TLS. Over plain HTTP, on this machine
    or a network that is trusted, it would not send it at all."""
    return session_cookie(request.scope) != SESSION_COOKIE
