"""Which indices the next major version of Elasticsearch opens."""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """What the next major does with an index that stays as it is."""

    OPENS = "opens"
    READ_ONLY = "readOnly"
    REFUSES = "refuses"


def opens_mounted(major: int) -> bool:
    """True where the major after `major` opens every searchable snapshot: Elasticsearch's own list
    of what has to be reindexed leaves them out from 8.x on."""
    return major >= 8


def fate(created_major: int, major: int, *, read_only: bool, mounted: bool = False) -> Fate:
    """What the major after `major` does with an index that `created_major` made.

    `read_only`: it has the write block, and that is verified; such an index of the major before
    this one opens for reading on 9.0 and newer (7.17, 8.19, 9.4). `mounted`: it is a searchable
    snapshot.
    """
    if created_major >= major or (mounted and opens_mounted(major)):
        return Fate.OPENS
    kept = read_only and major >= 8 and created_major == major - 1
    return Fate.READ_ONLY if kept else Fate.REFUSES


def because(created_major: int, major: int, found: Fate) -> str:
    """The same as a sentence."""
    made, upcoming = f"made by Elasticsearch {created_major}", f"Elasticsearch {major + 1}"
    if found is Fate.OPENS:
        return f"{made}; {upcoming} opens it as it is"
    if found is Fate.READ_ONLY:
        return f"{made} and write-blocked; {upcoming} opens it for reading only"
    return f"{made}; {upcoming} does not open it"
