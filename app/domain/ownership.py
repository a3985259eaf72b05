"""Which database works on a cluster: the mark that it leaves there, and what one that is found
there means to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError


class Mark(BaseModel):
    """What a database writes into the cluster at the start of each term.

    `instance`: the id of the database, which a copy of it has, too. `term`: which one of the
    database and this cluster, counted from 1. `writer`: another one for each term, so that two
    copies of one database that begin the same term are told apart.
    """

    model_config = ConfigDict(frozen=True)

    instance: str
    term: int
    writer: str

    @classmethod
    def read(cls, found: Mapping[str, object]) -> Mark | None:
        """As it stands in the cluster; None for what is no mark, or no longer a whole one."""
        try:
            mark = cls.model_validate(dict(found))
        except ValidationError:
            return None
        return mark if mark.term > 0 and mark.instance and mark.writer else None


class ConflictKind(StrEnum):
    """`NEWER`: this database has done more here than it knows of: it was restored from an older
    copy, or a copy of it is at work. `OTHER`: another database has worked here since."""

    NEWER = "newer"
    OTHER = "other"


class Conflict(BaseModel):
    """Why a database changes nothing in its cluster. `seen`: what the cluster shows; `own`: what
    this database had left there last, of term 0 where nothing."""

    model_config = ConfigDict(frozen=True)

    kind: ConflictKind
    seen: Mark
    own: Mark
    since: datetime


class Ownership(BaseModel):
    """What a database knows of its place in a cluster.

    `own`: the mark of its newest term, of term 0 before the first. `conflict`: what keeps it from
    changing anything. `adopted`: the mark of another that a person has said is to be overwritten.
    """

    model_config = ConfigDict(frozen=True)

    own: Mark
    conflict: Conflict | None = None
    adopted: Mark | None = None


class Finding(StrEnum):
    """What a mark in the cluster is to a database.

    `FREE`: none, an older one of its own, or one that is to be overwritten. `OWN`: its newest.
    `NEW`: another's, and this database has never worked here, so it has nothing to do twice.
    """

    FREE = "free"
    OWN = "own"
    NEW = "new"
    NEWER = "newer"
    OTHER = "other"


def judge(known: Ownership, seen: Mark | None) -> Finding:
    """What `seen` is to the database that knows `known`."""
    own = known.own
    if seen is None or seen == known.adopted:
        return Finding.FREE
    if seen == own:
        return Finding.OWN
    if seen.instance == own.instance:
        return Finding.FREE if seen.term < own.term else Finding.NEWER
    return Finding.OTHER if own.writer else Finding.NEW
