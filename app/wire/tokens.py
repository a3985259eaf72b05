"""The shapes of tokens: what is asked for, and what is told of those there are."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, StrictStr

from app.domain.principal import Role
from app.domain.token import MOST_CLUSTERS, MOST_PATTERNS, NAME, Token, TokenGrant
from app.wire.notation import MOST_CHARACTERS, GivenName, Sent, Time, Wire, said

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _dated(value: Any) -> Any:
    """A number, also one in a text, would be taken for seconds."""
    if value is not None and not (isinstance(value, str) and _DATE.match(value)):
        raise said("[request body.expiresAt]: it must be a time, such as 2027-01-31T00:00:00Z")
    return value


class NewToken(Sent):
    """A token to be made."""

    name: Annotated[StrictStr, Field(pattern=NAME)]
    """Events have it, as `token:` and the name. It is of `a-z`, `0-9`, `.`, `_` and `-`, 64 of them
    at most. No token that is not revoked may have it yet."""
    role: Role
    """`viewer`: looks and changes nothing. `operator`: posts and steers operations. `admin`: what
    concerns the whole service, too."""
    clusters: (
        Annotated[
            list[Annotated[GivenName, Field(max_length=64)]],
            Field(min_length=1, max_length=MOST_CLUSTERS),
        ]
        | None
    ) = None
    """The names of the clusters that it is for. Absent: all."""
    indices: (
        Annotated[
            list[Annotated[GivenName, Field(max_length=MOST_CHARACTERS)]],
            Field(min_length=1, max_length=MOST_PATTERNS),
        ]
        | None
    ) = None
    """Patterns with `*` of the concrete indices that it is for, sources and new ones. Absent: all;
    so it must be for an admin."""
    expires_at: Annotated[AwareDatetime | None, BeforeValidator(_dated)] = None
    """When it ends. Absent: never."""

    def grant(self) -> TokenGrant:
        return TokenGrant.model_validate(self.model_dump())


class TokenReport(Wire):
    """What is told of a token; its secret is not."""

    id: str
    """Its id."""
    name: str
    """Events have it, as `token:` and the name."""
    role: Role
    """What whoever comes with it may do."""
    clusters: list[str] | None
    """The clusters that it is for. null: all."""
    indices: list[str] | None
    """Patterns of the indices that it is for. null: all."""
    created_at: Time
    """When it was made."""
    created_by: str
    """Who made it."""
    expires_at: Time | None
    """When it ends, or has ended. null: never."""
    revoked_at: Time | None
    """When it was revoked. null: it was not."""
    revoked_by: str | None
    """Who revoked it."""
    last_used_at: Time | None
    """When somebody came with it last, give or take an hour. null: nobody has."""

    @classmethod
    def of(cls, token: Token) -> TokenReport:
        return cls.model_validate(token.model_dump())


class NewTokenAnswer(Wire):
    """A token that was made."""

    token: TokenReport
    """What it is for."""
    secret: str
    """What to log in with, as `Authorization: Bearer` and this. It is told now and never again."""


class TokenList(Wire):
    """Tokens, the oldest first."""

    tokens: list[TokenReport]
    """Also those that have expired or are revoked."""
