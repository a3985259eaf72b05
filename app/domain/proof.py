"""How thoroughly a copy is proven, and how far a comparison has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.sizes import parsed, spoken


class ProofLevel(StrEnum):
    """What is compared beyond identity, settings, mappings and counts of both indices."""

    COUNT = "count"
    SAMPLE = "sample"
    FULL = "full"
    AUTO = "auto"
    """`FULL` where that costs little (`FullUpTo`), else `SAMPLE`. Chosen when the copy is cut."""


@dataclass(frozen=True)
class FullUpTo:
    """So large may an index be that all its documents are compared unless somebody says otherwise.

    `size`: bytes of its primaries on disk.
    """

    documents: int = 100_000
    size: int = 256 * 2**20

    def choose(self, documents: int, size: int, *, possible: bool = True) -> ProofLevel:
        """What `AUTO` is for an index of so many documents and bytes. `possible`: a full comparison
        can be made of it at all."""
        full = possible and documents <= self.documents and size <= self.size
        return ProofLevel.FULL if full else ProofLevel.SAMPLE

    def __str__(self) -> str:
        return f"{self.documents:,} documents and {spoken(self.size)}"

    @classmethod
    def parse(cls, text: str) -> FullUpTo:
        """From `100000, 256mb`. Raises `ValueError`."""
        documents, _, size = text.partition(",")
        found = cls(int(documents.strip().replace("_", "")), parsed(size))
        if found.documents < 0 or found.size < 0:
            raise ValueError(text)
        return found


FULL_UP_TO = FullUpTo()


class Side(BaseModel):
    """What was read of one index: all shards before `shard`, and of it what lies below
    `from_seq_no`. `digest`: the sum over those documents (`upgrades/proving/digest.py`), in hex.
    """

    model_config = ConfigDict(frozen=True)

    shard: int = 0
    from_seq_no: int = 0
    documents: int = 0
    digest: str = "0"


class Proving(BaseModel):
    """A full comparison on its way: saved between its turns, so that it goes on after a crash.

    `one_by_one`: each document is looked for in the target, and `target` stays as it is.
    `target_seq_nos` are those of the target when it began: where they have changed in the end, it
    begins anew. `page_documents`: no more fit into an answer, where that is known.
    """

    model_config = ConfigDict(frozen=True)

    documents: int
    target_seq_nos: list[int]
    source: Side = Side()
    target: Side = Side()
    one_by_one: bool = False
    page_documents: int | None = None

    def begun_one_by_one(self) -> Proving:
        """From the beginning: what was summed is not compared yet."""
        return Proving(
            documents=self.documents,
            target_seq_nos=self.target_seq_nos,
            one_by_one=True,
            page_documents=self.page_documents,
        )

    @property
    def compared(self) -> int:
        """So much is done, in documents; both sides count half where both are read."""
        if self.one_by_one:
            return self.source.documents
        return (self.source.documents + self.target.documents) // 2
