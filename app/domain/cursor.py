"""A cursor: a place in the event logs of one cluster or several, as a client keeps it.

`west:41,east:7` is behind event 41 of the cluster `west` and event 7 of `east`. What a URL would
quote in the name of a cluster is quoted, so that no name can hold a comma or a colon.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from app.domain.errors import InvalidCursor
from app.domain.formatting import capped

Places = Mapping[str, int]
"""By cluster the number of an event; 0 is before the first one."""

_PLACE = re.compile("([^:,]+):([0-9]{1,18})")


def cursor_text(places: Places) -> str:
    return ",".join(f"{quote(cluster, safe='')}:{number}" for cluster, number in places.items())


def parse_cursor(text: str) -> dict[str, int]:
    """The places of a cursor. Raises `InvalidCursor` where `text` is none."""
    found: dict[str, int] = {}
    for part in text.split(","):
        match = _PLACE.fullmatch(part.strip())
        cluster = _unquoted(match[1]) if match else None
        if not match or cluster is None or cluster in found:
            raise InvalidCursor(
                f"{capped(text, 200)} is not a cursor of events. Take one from an answer: next, "
                "newest, or the id of a streamed event."
            )
        found[cluster] = int(match[2])
    return found


def _unquoted(text: str) -> str | None:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
