"""The wire models of `/api/v1/indices`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.api.v1.schemas import Wire

MOST_INDICES = 5_000


class IndexQuery(BaseModel):
    """The parameters of the list of indices."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    needs: Literal["reindex"] | None = Field(
        default=None, description="reindex: only those that the next major version does not open"
    )
    limit: int = Field(default=500, ge=1, le=MOST_INDICES)
    after: str | None = Field(
        default=None, min_length=1, max_length=255, description="`next` of the page before"
    )


class Blocker(Wire):
    """What speaks against reindexing it. `code` is for programs, `message` for people."""

    code: str
    message: str


class IndexReport(Wire):
    """An index, and what the next major version does with it as it is.

    `opens`; `readOnly`: it has the write block; `refuses`: the cluster does not start with it, so
    it has to be reindexed. `why`: the same in words. `newIndexName` and `blockers` only where it is
    `refuses`; one with blockers cannot be reindexed (yet). `documents` count nested ones, too;
    `documents` and `primaryBytes` are null where the index does not tell. `ownedBy`: the feature of
    the Elastic Stack that made it, by its name; null for an index of users.
    """

    index: str
    created_major: int
    next_major: Literal["opens", "readOnly", "refuses"]
    why: str
    new_index_name: str | None
    blockers: list[Blocker]
    closed: bool
    documents: int | None
    primary_bytes: int | None
    owned_by: str | None


class IndexCounts(Wire):
    """Of the whole cluster. `refused` need a reindex, `blocked` of them cannot have it now."""

    total: int
    refused: int
    blocked: int
    read_only: int


class IndexList(Wire):
    """`next`: the `after` of the page that follows; null on the last one."""

    indices: list[IndexReport]
    next: str | None
    counts: IndexCounts
