"""The test's own look into a database, beside the store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.store.engine import parse_url


@contextmanager
def connected(url: str) -> Generator[Connection]:
    """A connection in a transaction that is committed at the end."""
    address = parse_url(url)
    address = address.set(drivername=address.drivername.replace("+aiosqlite", ""))
    with create_engine(address, poolclass=NullPool).begin() as connection:
        yield connection


def execute(url: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Runs one statement and answers its rows, if it has any."""
    with connected(url) as connection:
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []


_IN_HAND = "job.status IN (0, 3) AND (job.writes_blocked_since IS NOT NULL OR job.past_return)"
"""It keeps writes from its index, or has taken that out of use: nobody else may use it."""
_ASTRAY = f"""
    SELECT claim.index_name, claim.job_id, 'needless' FROM claim
    JOIN job ON job.id = claim.job_id WHERE NOT ({_IN_HAND})
    UNION ALL
    SELECT job.index_name, job.id, 'missing' FROM job
    WHERE {_IN_HAND} AND NOT EXISTS (SELECT 1 FROM claim WHERE claim.job_id = job.id)
    ORDER BY 1, 2
"""


def claims_astray(url: str) -> list[str]:
    """What is wrong with the claims, in words: each must be of a job in hand, and each such job
    must have some. One statement, so that it may be asked at any moment."""
    words = {
        "needless": "{} is claimed by {}, which is not in hand",
        "missing": "{} is in the hands of {}, which claims nothing",
    }
    return [words[how].format(index, job) for index, job, how in execute(url, _ASTRAY)]
