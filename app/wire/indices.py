"""The shapes of the list of indices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.wire.notation import Sent, Wire

MOST_INDICES = 5_000


class IndexQuery(Sent):
    """The parameters of the list of indices."""

    needs: Literal["reindex"] | None = None
    """reindex: only those that the next major version does not open"""
    limit: int = Field(default=500, ge=1, le=MOST_INDICES)
    """Indices a page"""
    after: str | None = Field(default=None, min_length=1, max_length=255)
    """`next` of the page before"""


class Blocker(Wire):
    """What speaks against reindexing an index."""

    code: str
    """For programs."""
    message: str
    """For people."""


class IndexReport(Wire):
    """An index, and what the next major version does with it as it is."""

    index: str
    """Its name."""
    created_major: int
    """The major version of Elasticsearch that made it."""
    next_major: Literal["opens", "readOnly", "refuses"]
    """`opens`: it can stay as it is. `readOnly`: it has the write block, and is opened for reading
    only. `refuses`: the cluster does not start with it, so it has to be reindexed."""
    why: str
    """The same in words."""
    new_index_name: str | None
    """Where it would be copied to. Only where the next major version `refuses` it."""
    blockers: list[Blocker]
    """What speaks against reindexing it (yet). Only where the next major version `refuses` it."""
    closed: bool
    """True: it is closed."""
    documents: int | None
    """Nested documents count, too. null where the index does not tell."""
    primary_bytes: int | None
    """On disk, without replicas. null where the index does not tell."""
    owned_by: str | None
    """The feature of the Elastic Stack that made it, by its name. null: it belongs to users."""


class IndexCounts(Wire):
    """How many indices of the whole cluster there are."""

    total: int
    """All of them."""
    refused: int
    """The next major version does not open them: they need a reindex."""
    blocked: int
    """Those of `refused` that cannot be reindexed now."""
    read_only: int
    """The next major version opens them for reading only."""


class IndexList(Wire):
    """A page of indices."""

    indices: list[IndexReport]
    """By name."""
    next: str | None
    """The `after` of the page that follows. null: this is the last one."""
    counts: IndexCounts
    """Of the whole cluster, whatever the page shows."""
