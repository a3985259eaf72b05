"""Indices that Elasticsearch, Kibana or one of their features makes and manages, by their names.

Where the running version says of an index that it is a system index, that counts; this table is for
those it does not say it of. docs/elastic-indices.md has the same table for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


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
