"""The trial of a plan: the new index, made empty and removed again."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.names import IndexName


class Attempt(BaseModel):
    """What is to be tried: `index` as it is asked for, the concrete `source` behind it."""

    model_config = ConfigDict(frozen=True)

    index: IndexName
    source: IndexName
    target: IndexName
    mode: str | None


class TrialOutcome(StrEnum):
    """`FITS`: the new index comes out as the old one; `REFUSED`: the cluster will not make it, or
    it does not come out so; `NOT_TRIED`: something else stood in the way."""

    FITS = "fits"
    REFUSED = "refused"
    NOT_TRIED = "notTried"


class Trial(BaseModel):
    """`text`: why, where it does not fit."""

    model_config = ConfigDict(frozen=True)

    outcome: TrialOutcome
    text: str = ""
