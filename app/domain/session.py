"""Sessions: how a page stays logged in without keeping what its user has typed."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

IDLE = timedelta(minutes=30)
"""A session that nobody used for so long is over."""
LONGEST = timedelta(hours=12)
"""And after this it is over in any case."""
MOST_OF_ONE = 20
"""Sessions of one caller at once; the oldest make room."""
ID_BYTES = 32


def new_session_id() -> str:
    """256 random bits, as text, for the browser; the database has the `session_digest` of it."""
    return secrets.token_urlsafe(ID_BYTES)


def session_digest(session_id: str) -> str:
    """SHA-256 in hexadecimal: nobody guesses 256 random bits, however fast the hash is."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).hexdigest()


class PageSession(BaseModel):
    """One session. Times are UTC.

    `caller`: as the event log names whoever began it. `authorization`: what they logged in with,
    encrypted; None: this is in the memory of the service that they logged in to. It is looked at
    anew at every request, so that a session never outlives its login.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    caller: str
    created_at: datetime
    last_used_at: datetime
    authorization: str | None = Field(default=None, repr=False)

    @property
    def expires_at(self) -> datetime:
        return min(self.last_used_at + IDLE, self.created_at + LONGEST)

    def is_over(self, now: datetime) -> bool:
        return self.expires_at <= now
