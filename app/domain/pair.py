"""The pair that a rewrite is about: the index as it is, and the new one that is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.names import IndexName
from app.domain.reach import EVERYTHING, Reach


@dataclass(frozen=True)
class Leftover:
    """A target that an earlier operation has left under the same name.

    `source_uuid`: of the index that it was copied from, None where that is not known. `stamped`: it
    must still have a stamp, since one without may have been in use.
    """

    uuid: str
    source_uuid: str | None
    stamped: bool


@dataclass(frozen=True)
class Pair:
    """Source and target of one job, and how they are told from others of the same names.

    `source_uuid` is None until the source is recorded, `target_uuid` until the target is saved.
    `asked_name` is the name that the target is to get, `kept_name` that of a kept copy: what has
    them is looked at, too. `mode` is the target's `index.mode`, None for the source's. `filled`:
    documents may have been copied into the target. `leftover` is removed to make the target.
    `reach` is of whoever asked for the job: no index beyond it is named to them.
    """

    job_id: str
    """The stamp of every index that the job makes."""
    source_name: IndexName
    target_name: IndexName
    source_uuid: str | None = None
    target_uuid: str | None = None
    asked_name: IndexName | None = None
    kept_name: IndexName | None = None
    mode: str | None = None
    filled: bool = False
    leftover: Leftover | None = None
    reach: Reach = EVERYTHING

    @property
    def marker(self) -> IndexName:
        """The hidden alias that guards a removal: it is put on the index that must survive."""
        return IndexName(f".rq-{self.job_id}")

    @property
    def names(self) -> list[IndexName]:
        """Every name that is looked at, once."""
        names = (self.source_name, self.asked_name, self.target_name, self.kept_name)
        return list(dict.fromkeys(name for name in names if name is not None))
