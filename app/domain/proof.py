"""How thoroughly a copy is proven, and how far a comparison has come."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ProofLevel(StrEnum):
    """What is compared beyond identity, settings, mappings and counts of both indices."""

    COUNT = "count"
    SAMPLE = "sample"
    FULL = "full"


class Proving(BaseModel):
    """A full comparison on its way: saved between its turns, so that it goes on after a crash.

    All shards before `shard` are compared, and of it the documents below `from_seq_no` (the
    source's). `target_seq_nos` are those of the target when it began: where they have changed in
    the end, it begins anew.
    """

    model_config = ConfigDict(frozen=True)

    documents: int
    compared: int = 0
    shard: int = 0
    from_seq_no: int = 0
    target_seq_nos: list[int]
