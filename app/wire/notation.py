"""What all shapes on the wire have in common: how names, times and texts are written."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    StrictStr,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

MOST_NAMES = 10_000
"""Indices in one request."""
MOST_A_PAGE = 500
"""Operations in one answer."""
MOST_CHARACTERS = 1_000
"""Of a name that is sent. Elasticsearch takes fewer; what is longer is refused by its length."""

NOT_BLANK = r"\S"
TIME_OF_DAY = "^[0-9]{1,2}:[0-9]{2}$"
PAGE = "^[0-9]{1,15}$"
PRINTABLE = "^[ -~]+$"
"""ASCII only."""

IndexMode = Literal["standard", "lookup", "logsdb", "time_series"]


class Wire(BaseModel):
    """Keys are camelCase. The text below an attribute is its description in the API's document.

    A shape is built when it is first used: a command needs few of them.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        defer_build=True,
    )


class Sent(Wire):
    """What a client sends. A key that is not known is a fault."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False, defer_build=False)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    PlainSerializer(_iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""ISO 8601 in UTC, with milliseconds and `Z`."""


def _whole_text(value: str) -> str:
    """JSON can spell half a surrogate pair, which no answer and no database can repeat."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("unicode", "the string is not valid Unicode") from error
    return value


def without_nul(value: str) -> str:
    """A text for the database: PostgreSQL does not take NUL, and finds nothing with it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


GivenName = Annotated[StrictStr, AfterValidator(_whole_text)]
Sought = Annotated[str, AfterValidator(without_nul)]


def said(sentence: str) -> PydanticCustomError:
    """A fault whose text is answered as it is."""
    return PydanticCustomError("said", "{sentence}", {"sentence": sentence})


is_none: Callable[[Any], bool] = partial(operator.is_, None)
"""Says which keys are absent instead of null. It is written in C: every such key asks it."""
