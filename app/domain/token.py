"""Tokens: what programs log in with, each with a role, limits and an end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.domain.principal import Principal, Role
from app.domain.reach import Reach
from app.domain.remedies import Command

PREFIX = "rq_"
"""How every secret begins, so that people and scanners of repositories know one by its looks."""
SECRET_BYTES = 32
SERVICE = "_service"
"""In the place of a cluster's name: what is of the whole service, its events included."""
MOST_PATTERNS = 100
MOST_CLUSTERS = 100
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
NAME_RULE = (
    "of a-z, 0-9, dots, underscores and hyphens, begin with a letter or a digit, and have 64 "
    "characters at most"
)


def new_secret() -> str:
    """256 random bits, as text."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> str:
    """What is stored of a secret: its SHA-256 in hexadecimal.

    A slow hash with a salt guards what people think up, for that can be guessed. Nobody guesses 256
    random bits, however fast the hash is; and a fast one without a salt lets the database find the
    row at every request.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenGrant(BaseModel):
    """What a token lets its bearer do.

    `clusters`: the names of the clusters it is for, `indices`: the patterns of the indices there;
    None: all. `expires_at` None: it has no end.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    clusters: tuple[str, ...] | None = None
    indices: tuple[str, ...] | None = None
    expires_at: datetime | None = None


class Token(TokenGrant):
    """A token as it is remembered, without its secret. Times are UTC.

    `created_by`, `revoked_by`: as the event log names them. `last_used_at` is noted now and then.
    """

    id: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    last_used_at: datetime | None = None
    in_doubt: bool = False
    """The database was restored from an older copy, in which what was revoked since is not."""

    def refusal(self, now: datetime) -> str | None:
        """Why it lets nobody in, as a sentence; None where it does."""
        if self.revoked_at is not None:
            return f"The token {self.name} was revoked. Ask for a new one."
        if self.expires_at is not None and self.expires_at <= now:
            return f"The token {self.name} has expired. Ask for a new one."
        if self.in_doubt:
            return (
                f"The token {self.name} lets nobody in for now: this database was restored from an "
                "older copy, or a copy of it is at work, and so a token that was revoked may look "
                "like a valid one. A person with another login, or at the service's machine, "
                f"decides: {Command.ADOPT}"
            )
        return None

    @property
    def principal(self) -> Principal:
        """Who comes with it."""
        clusters = None if self.clusters is None else frozenset(self.clusters)
        return Principal(f"token:{self.name}", self.role, clusters, Reach.of(self.indices))
