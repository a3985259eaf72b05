"""Whose an index is by its name, and that the documents say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.domain.names import OWNED, Handling, owned_by

TABLE = (Path(__file__).parents[2] / "docs" / "elastic-indices.md").read_text()


@pytest.mark.parametrize(
    ("index", "owner", "handling"),
    [
        (".ml-anomalies-shared", "anomaly detection", Handling.REFUSED),
        (".ml-anomalies-custom-jobs", "anomaly detection", Handling.REFUSED),
        (".ml-state-000001", "machine learning", Handling.REFUSED),
        (".enrich-users-policy-1700000000000", "enrich", Handling.REFUSED),
        (".siem-signals-default-000001", "Elastic Security", Handling.BY_NAME),
        (".lists-default-000001", "Elastic Security", Handling.BY_NAME),
        (".items-default-000001", "Elastic Security", Handling.BY_NAME),
        (".internal.alerts-security.alerts-default-000001", "alerting", Handling.BY_NAME),
        (".monitoring-es-7-2023.05.01", "monitoring", Handling.DISPOSABLE),
        (".watcher-history-16-2023.05.01", "Watcher", Handling.DISPOSABLE),
        (".kibana-event-log-7.17.0-000001", "event log", Handling.DISPOSABLE),
        ("ilm-history-3-000001", "lifecycle", Handling.DISPOSABLE),
        (".kibana_7.17.0_001", "system index", Handling.REFUSED),
        (".security-7", "system index", Handling.REFUSED),
        (".watches", "system index", Handling.REFUSED),
    ],
)
def test_an_index_of_the_stack_is_known_by_its_name(
    index: str, owner: str, handling: Handling
) -> None:
    owned = owned_by(index)
    assert owned is not None
    assert owner in owned.owner
    assert owned.handling is handling
    assert "{" not in owned.advice_for(index)


@pytest.mark.parametrize(
    "index",
    ["logs", ".hidden", ".mlogs", "ml-anomalies-x", ".kibanalysis", ".listing", ".reindexed-v8-a"],
)
def test_an_index_of_users_is_nobodys(index: str) -> None:
    assert owned_by(index) is None


def test_the_documents_have_the_same_table() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| `")]
    documented = [tuple(re.findall(r"`([^`]+)`", row.split(" | ")[0])) for row in rows]
    assert documented == [entry.patterns for entry in OWNED]
    for row, entry in zip(rows, OWNED, strict=True):
        cells = row.strip("| ").split(" | ")
        assert cells[1] == entry.owner
        assert cells[2].startswith("refused" if entry.handling is Handling.REFUSED else "by name")
        assert ("8.18" in cells[2]) is (entry.since is not None)
