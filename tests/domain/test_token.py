"""Tokens: their secrets, and when they let nobody in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.principal import Role
from app.domain.reach import EVERYTHING, Reach
from app.domain.token import PREFIX, Token, digest_of, new_secret

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def token(**fields: object) -> Token:
    made = {"id": "1", "name": "ci", "role": "viewer", "created_at": NOW, "created_by": "test"}
    return Token.model_validate(made | fields)


def test_a_secret_has_256_bits_and_is_never_the_same() -> None:
    secrets = {new_secret() for _ in range(1_000)}
    assert len(secrets) == 1_000
    assert all(secret.startswith(PREFIX) and len(secret) == 3 + 43 for secret in secrets)


def test_what_is_stored_is_the_sha_256_of_the_whole_secret() -> None:
    assert digest_of("rq_a") == hashlib.sha256(b"rq_a").hexdigest()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"expires_at": NOW + SECOND}, None),
        ({"expires_at": NOW}, "has expired"),
        ({"expires_at": NOW - SECOND}, "has expired"),
        ({"revoked_at": NOW - SECOND}, "was revoked"),
        ({"revoked_at": NOW + SECOND, "expires_at": NOW + SECOND}, "was revoked"),
    ],
)
def test_one_that_is_revoked_or_over_lets_nobody_in(
    fields: dict[str, datetime], said: str | None
) -> None:
    refusal = token(**fields).refusal(NOW)
    assert (refusal is None) is (said is None)
    assert said is None or said in (refusal or "")


def test_who_comes_with_it_has_its_name_role_and_limits() -> None:
    limited = token(role="operator", clusters=["a"], indices=["logs-*"]).principal
    assert limited.name == "token:ci"
    assert limited.role is Role.OPERATOR
    assert limited.clusters == {"a"}
    assert limited.reach == Reach(("logs-*",))
    free = token().principal
    assert (free.clusters, free.reach) == (None, EVERYTHING)
