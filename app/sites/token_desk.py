"""The desk for tokens: makes, lists and revokes them, and says whose a secret is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, timedelta

from app.domain import clock
from app.domain.errors import InvalidIndexName, InvalidToken
from app.domain.principal import Role
from app.domain.reach import checked_pattern
from app.domain.token import Token, TokenGrant, digest_of, new_secret
from app.store.tokens import Tokens
from app.telemetry import logger

log = logger(__name__)

LONGEST = timedelta(days=36_500)


@dataclass(frozen=True)
class IssuedToken:
    """`secret` is nowhere else: whoever loses it needs another token."""

    token: Token
    secret: str = field(repr=False)


class TokenDesk:
    """`clusters`: the names of those that the service knows. `ready` is awaited before a token lets
    somebody in: until the service has looked whether the database is the newest one."""

    def __init__(
        self,
        tokens: Tokens,
        clusters: Collection[str],
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._tokens = tokens
        self._clusters = clusters
        self._ready = ready

    async def create(self, grant: TokenGrant, by: str) -> IssuedToken:
        """Raises `InvalidToken`, `StoreTrouble`."""
        grant = self._checked(grant)
        secret = new_secret()
        token = await self._tokens.create(grant, digest_of(secret), by)
        log.info("token_created", token=token.name, role=token.role.value, by=by)
        return IssuedToken(token, secret)

    async def revoke(self, name: str, by: str) -> Token:
        """Raises `UnknownToken`, `StoreTrouble`."""
        token = await self._tokens.revoke(name, by)
        log.info("token_revoked", token=name, by=by)
        return token

    async def all(self) -> list[Token]:
        """Every one that was ever made, the oldest first. Raises `StoreTrouble`."""
        return await self._tokens.all()

    async def bearer(self, secret: str) -> Token | None:
        """The token with that secret, which may have expired or be revoked: `Token.refusal` says
        so. None: there is none. Raises `StoreTrouble`."""
        if self._ready:
            await self._ready()
        token = await self._tokens.with_digest(digest_of(secret))
        if token is not None and token.refusal(clock.now()) is None:
            self._tokens.note_use(token)
        return token

    def _checked(self, grant: TokenGrant) -> TokenGrant:
        """`grant`, where it means something. Raises `InvalidToken`."""
        if grant.clusters is not None:
            self._check_clusters(grant.clusters)
        if grant.indices is not None:
            _check_indices(grant.indices, grant.role)
        now, end = clock.now(), grant.expires_at
        if end is None:
            return grant
        if end <= now:
            raise InvalidToken("The token would have expired already. Choose a later time.")
        if end - LONGEST > now:
            raise InvalidToken("The token would expire in more than 100 years. Give it no end.")
        return grant.model_copy(update={"expires_at": end.astimezone(UTC)})

    def _check_clusters(self, clusters: Collection[str]) -> None:
        if not clusters:
            raise InvalidToken("The token would be for no cluster. Name one, or leave them out.")
        unknown = [name for name in clusters if name not in self._clusters]
        if unknown:
            known = ", ".join(sorted(self._clusters))
            raise InvalidToken(f"This service has no cluster {unknown[0]}. It has: {known}.")


def _check_indices(patterns: Collection[str], role: Role) -> None:
    if not patterns:
        raise InvalidToken("The token would be for no index. Name a pattern, or leave them out.")
    if role is Role.ADMIN:
        raise InvalidToken(
            "What an admin may do concerns all indices. Leave the patterns out, or choose the role "
            f"{Role.OPERATOR}."
        )
    for pattern in patterns:
        try:
            checked_pattern(pattern)
        except InvalidIndexName as error:
            raise InvalidToken(error.message) from None
