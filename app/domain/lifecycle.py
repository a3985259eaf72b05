"""Index lifecycle management around a copy: off while it runs, and the age is not reset by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POLICY = "index.lifecycle.name"
ORIGIN = "index.lifecycle.origination_date"


def origination_date(settings: Mapping[str, Any], rollovers: Mapping[str, Any]) -> str | None:
    """Milliseconds from which the index's age counts: as it is set, rolled over, or created.

    `rollovers` is `rollover_info` of the cluster state: the time of the rollover by alias. Without
    this the phases of the new index, its deletion too, would count from the day of the reindex.
    """
    given = settings.get(ORIGIN)
    if given is not None and str(given) != "-1":
        return str(given)
    times = [int(info["time"]) for info in rollovers.values() if "time" in info]
    if times:
        return str(max(times))
    created = settings.get("index.creation_date")
    return None if created is None else str(created)


def after_swap(settings: Mapping[str, Any], rollovers: Mapping[str, Any]) -> dict[str, str]:
    """What is put on the new index once it has the name; nothing for an index without a policy.

    `index.lifecycle.indexing_complete` and `rollover_alias` are ordinary settings: they are copied
    when the target is made, so a rolled-over index is not rolled over again.
    """
    policy = settings.get(POLICY)
    origin = origination_date(settings, rollovers)
    if policy is None:
        return {}
    return {POLICY: str(policy)} | ({ORIGIN: origin} if origin else {})
