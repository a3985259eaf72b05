"""Tokens in the database: one name at a time, revoked for every service at once, told as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from app.domain import clock
from app.domain.errors import TokenNameTaken, UnknownToken
from app.domain.principal import Role
from app.domain.token import TokenGrant, digest_of, new_secret
from app.store import tokens as store_tokens
from app.store.store import Database, Store
from app.store.tokens import Tokens
from tests.conditions import eventually
from tests.store.conftest import OpenStore
from tests.store.database import execute

OpenTokens = Callable[[], Awaitable[Tokens]]
GRANT = TokenGrant(name="ci", role=Role.OPERATOR, indices=("logs-*",))


@pytest.fixture
async def open_tokens(database_url: str) -> AsyncGenerator[OpenTokens]:
    """Opens the same database once more, as another service would."""
    async with AsyncExitStack() as stack:

        async def open_one() -> Tokens:
            database = await Database.open(database_url, 60.0)
            stack.push_async_callback(database.close)
            opened = await database.tokens(["default"])
            stack.push_async_callback(opened.close)
            return opened

        yield open_one


@pytest.fixture
async def tokens(open_tokens: OpenTokens) -> Tokens:
    return await open_tokens()


async def test_one_is_found_by_its_digest_as_it_was_made(tokens: Tokens) -> None:
    secret = new_secret()
    end = clock.now() + timedelta(days=1)
    grant = TokenGrant(
        name="nightly",
        role=Role.VIEWER,
        clusters=("one", "two"),
        indices=("logs-*", ".x"),
        expires_at=end,
    )
    made = await tokens.create(grant, digest_of(secret), "api:ops@10.0.0.1")
    assert await tokens.with_digest(digest_of(secret)) == made
    assert await tokens.with_digest(digest_of(secret + "x")) is None
    assert made.expires_at == end
    assert (made.clusters, made.indices) == (("one", "two"), ("logs-*", ".x"))
    assert made.created_by == "api:ops@10.0.0.1"
    assert (made.revoked_at, made.last_used_at) == (None, None)


async def test_a_revoked_one_is_known_to_every_service_at_once(open_tokens: OpenTokens) -> None:
    here, there = await open_tokens(), await open_tokens()
    await here.create(GRANT, "digest", "test")
    before = await there.with_digest("digest")
    assert before
    assert before.revoked_at is None
    revoked = await here.revoke("ci", "api:eve@10.0.0.1")
    assert await there.with_digest("digest") == revoked
    assert revoked.revoked_at is not None
    assert revoked.revoked_by == "api:eve@10.0.0.1"


async def test_a_name_is_free_again_once_its_token_is_revoked(tokens: Tokens) -> None:
    await tokens.create(GRANT, "1", "test")
    with pytest.raises(TokenNameTaken, match="a token ci already"):
        await tokens.create(GRANT, "2", "test")
    assert await tokens.with_digest("2") is None
    await tokens.revoke("ci", "test")
    for name in ("ci", "other"):
        with pytest.raises(UnknownToken):
            await tokens.revoke(name, "test")
    await tokens.create(GRANT, "3", "test")
    assert [(token.name, token.revoked_at is None) for token in await tokens.all()] == [
        ("ci", False),
        ("ci", True),
    ]


async def test_of_two_that_want_a_name_at_once_one_has_it(open_tokens: OpenTokens) -> None:
    services = [await open_tokens() for _ in range(3)]
    made = await asyncio.gather(
        *(one.create(GRANT, str(n), "test") for n, one in enumerate(services)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, TokenNameTaken) for one in made) == 2
    assert len(await services[0].all()) == 1


async def test_both_are_events_of_the_service_with_what_it_allows(
    tokens: Tokens, database_url: str
) -> None:
    await tokens.create(GRANT, digest_of("rq_secret"), "api:ops@10.0.0.1")
    await tokens.revoke("ci", "api:eve@10.0.0.1")
    rows = execute(
        database_url,
        "SELECT cluster_id, number, who, what, text, job_id FROM event ORDER BY number",
    )
    assert rows == [
        ("_service", 1, "api:ops@10.0.0.1", "token created", "ci", None),
        ("_service", 2, "api:eve@10.0.0.1", "token revoked", "ci", None),
    ]
    ((after,),) = execute(database_url, "SELECT after FROM event WHERE number = 1")
    assert "operator" in str(after)
    assert "logs-*" in str(after)
    assert digest_of("rq_secret") not in str(after)


async def test_the_last_use_is_noted_now_and_then_and_nobody_waits_for_it(
    tokens: Tokens, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await tokens.create(GRANT, "digest", "test")
    tokens.note_use(made)

    async def noted() -> bool:
        found = await tokens.with_digest("digest")
        return found is not None and found.last_used_at is not None

    await eventually(noted, "the use is noted")
    used = await tokens.with_digest("digest")
    assert used
    assert used.last_used_at
    assert abs(clock.now() - used.last_used_at) < timedelta(seconds=30)
    monkeypatch.setattr(store_tokens, "TRIED_EVERY", 0.0)
    tokens.note_use(used)
    await tokens.close()
    assert await tokens.with_digest("digest") == used
    long_ago = "2020-01-01 00:00:00"
    execute(database_url, f"UPDATE token SET last_used_at = '{long_ago}'")
    old = await tokens.with_digest("digest")
    assert old
    tokens.note_use(old)
    await tokens.close()
    again = await tokens.with_digest("digest")
    assert again
    assert again.last_used_at
    assert again.last_used_at >= used.last_used_at


async def test_a_use_that_cannot_be_noted_harms_nothing(tokens: Tokens, database_url: str) -> None:
    made = await tokens.create(GRANT, "digest", "test")
    execute(database_url, "ALTER TABLE token RENAME TO elsewhere")
    tokens.note_use(made)
    await tokens.close()
    execute(database_url, "ALTER TABLE elsewhere RENAME TO token")
    assert await tokens.with_digest("digest") == made


async def test_tokens_are_of_no_cluster(open_store: OpenStore, tokens: Tokens) -> None:
    store: Store = await open_store("one")
    await tokens.create(GRANT, "digest", "test")
    assert await store.events.after(0) == []
