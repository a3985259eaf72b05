"""Index names: what is a concrete name, what a target is called, and which belong to
Elasticsearch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from app.domain.errors import InvalidIndexName
from app.domain.formatting import capped

MAX_BYTES = 255
"""Elasticsearch's limit for an index name, in UTF-8 bytes (7.17, 8.19, 9.4)."""

_FORBIDDEN = frozenset('\\/*?"<>| ,#:')


class IndexName(str):
    """A concrete index name; making one checks it, so no wildcard is ever the object of a change.

    The rules are Elasticsearch's own for creating an index: it takes characters that cannot be
    printed (7.17 every one that was tried, 8.19 and 9.4 still some), so whoever shows a name
    writes those out (`texts.printable`). Raises `InvalidIndexName`.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> IndexName:
        fault = _fault(name)
        if fault:
            raise InvalidIndexName(f"[{capped(name, 101)}] is not the name of an index: {fault}.")
        return super().__new__(cls, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, _type: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _fault(name: str) -> str | None:
    """The first rule that `name` breaks, in words."""
    if not name:
        return "it is empty"
    if name in (".", "..", "_all"):
        return "this name means something else to Elasticsearch"
    if "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        return "it contains NUL, or half a character, which no text of the database can"
    if found := sorted(_FORBIDDEN & set(name)):
        return f"it must not contain {' '.join('space' if c == ' ' else c for c in found)}"
    if name[0] in "-_+":
        return "it must not start with -, _ or +"
    if name != name.lower():
        return "it must be lower case"
    if len(name.encode()) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes"
    return None


def source_name(name: str, major: int) -> str:
    """`name` without any `reindexed-v{major-1}-` (Kibana's rule: each of them, not anchored)."""
    dot, rest = (".", name[1:]) if name.startswith(".") else ("", name)
    return dot + rest.replace(f"reindexed-v{major - 1}-", "")


def target_name(name: IndexName, major: int) -> IndexName:
    """Where `name` is copied to in a cluster of `major`, by Kibana's rule.

    `foo` becomes `reindexed-v8-foo`, `.foo` becomes `.reindexed-v8-foo`, and the prefix of the
    major before is replaced, not stacked. Raises `InvalidIndexName` where the result is too long.
    """
    bare = source_name(name, major)
    prefix = f"reindexed-v{major}-"
    made = f".{prefix}{bare[1:]}" if bare.startswith(".") else prefix + bare
    if len(made.encode()) > MAX_BYTES:
        raise InvalidIndexName(
            f"The target {made[:60]}… of index {name[:60]}… would be longer than {MAX_BYTES} bytes."
        )
    return IndexName(made)


class Handling(StrEnum):
    """`REFUSED`: its owner migrates it otherwise. `BY_NAME`: it is reindexed where somebody names
    it, from a version on whose Kibana may manage the new index. `DISPOSABLE`: its owner deletes it
    when its time is over; it is reindexed where somebody names it."""

    REFUSED = "refused"
    BY_NAME = "byName"
    DISPOSABLE = "disposable"


@dataclass(frozen=True)
class Owned:
    """`advice`: what to do with `{index}`. `since`: major and minor of Elasticsearch from which it
    can be reindexed."""

    patterns: tuple[str, ...]
    owner: str
    handling: Handling
    advice: str
    since: tuple[int, int] | None = None

    def advice_for(self, index: str) -> str:
        return self.advice.format(index=index)

    def too_early(self, version: tuple[int, int]) -> bool:
        return self.since is not None and version < self.since


_MANAGED_BY_KIBANA = (
    "Kibana writes to it and looks for it by its name. The new index gets a name that Kibana may "
    "manage from Elasticsearch 8.18 on, so upgrade to that first, then post {index} by its name."
)

OWNED: tuple[Owned, ...] = (
    Owned(
        (".ml-anomalies-*",),
        "machine learning (results of anomaly detection)",
        Handling.REFUSED,
        "Its jobs write to it through aliases of their own. Elasticsearch rolls it over itself "
        "when it is upgraded; make the old one read-only for the next major version: upgrade or "
        "delete old model snapshots first, then PUT {index}/_block/write. Jobs that nobody needs "
        "are deleted in Kibana, and their results with them.",
    ),
    Owned(
        (".ml-*",),
        "machine learning",
        Handling.REFUSED,
        "Machine learning makes it anew or rolls it over when Elasticsearch is upgraded: see the "
        "Upgrade Assistant, and POST _migration/system_features.",
    ),
    Owned(
        (".enrich-*",),
        "enrich",
        Handling.REFUSED,
        "It is made of the indices that its policy names. Execute the policy again: "
        "PUT _enrich/policy/NAME/_execute, which makes a new one and removes this.",
    ),
    Owned(
        (".siem-signals*", ".lists*", ".items*"),
        "Elastic Security",
        Handling.BY_NAME,
        _MANAGED_BY_KIBANA,
        since=(8, 18),
    ),
    Owned(
        (".internal.alerts*", ".internal.preview.alerts*", ".preview.alerts*"),
        "alerting of Kibana",
        Handling.BY_NAME,
        _MANAGED_BY_KIBANA,
        since=(8, 18),
    ),
    Owned(
        (".monitoring-*",),
        "monitoring",
        Handling.DISPOSABLE,
        "It is deleted by itself, after 7 days unless xpack.monitoring.history.duration or a "
        "lifecycle policy says otherwise: wait for that, or delete it.",
    ),
    Owned(
        (".watcher-history*",),
        "Watcher",
        Handling.DISPOSABLE,
        "Its lifecycle policy, watch-history-ilm-policy, deletes it after 7 days unless it was "
        "changed: wait for that, or delete it.",
    ),
    Owned(
        (".kibana-event-log*",),
        "Kibana (event log)",
        Handling.DISPOSABLE,
        "Its lifecycle policy, kibana-event-log-policy, deletes it 90 days after its rollover "
        "unless it was changed: wait for that, or delete it.",
    ),
    Owned(
        ("ilm-history*", ".ilm-history*"),
        "index lifecycle management",
        Handling.DISPOSABLE,
        "Its lifecycle policy, ilm-history-ilm-policy, deletes it 90 days after its rollover "
        "unless it was changed: wait for that, or delete it.",
    ),
    Owned(
        (".slm-history*", "slm-history*"),
        "snapshot lifecycle management",
        Handling.DISPOSABLE,
        "Its lifecycle policy, slm-history-ilm-policy, deletes it 90 days after its rollover "
        "unless it was changed: wait for that, or delete it.",
    ),
    Owned(
        (
            ".apm-agent-configuration*",
            ".apm-custom-link*",
            ".async-search*",
            ".fleet-*",
            ".geoip_databases*",
            ".kibana_[0-9]*",
            ".kibana_alerting_cases*",
            ".kibana_analytics*",
            ".kibana_ingest*",
            ".kibana_security*",
            ".kibana_task_manager*",
            ".logstash",
            ".logstash-management*",
            ".reporting-*",
            ".security-[0-9]*",
            ".security-profile*",
            ".security-tokens*",
            ".synonyms*",
            ".tasks*",
            ".transform-internal-*",
            ".triggered_watches*",
            ".watches*",
        ),
        "a feature of the Elastic Stack (system index)",
        Handling.REFUSED,
        "Elasticsearch and Kibana migrate it themselves: POST _migration/system_features, or the "
        "Upgrade Assistant.",
    ),
)
"""The first entry that fits counts."""


def owned_by(index: str) -> Owned | None:
    """Whose index that is by its name; None for one of the users'."""
    for entry in OWNED:
        if any(fnmatchcase(index, pattern) for pattern in entry.patterns):
            return entry
    return None
