"""What an expression of PromQL asks for: metrics, labels, and which values of labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.holds import HoldCause
from app.domain.job import State
from app.jobs.worker import WorkerState
from app.telemetry import VERBS, RequestOutcome
from tests.ops.sample import Described, metrics

OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of buckets."""
VALUES: dict[str, set[str]] = {
    "cause": {*HoldCause},
    "state": {*State, *WorkerState},
    "outcome": {*RequestOutcome},
    "verb": {*VERBS},
    "kind": {"rewrite"},
}
_METRIC = re.compile(r"\b((?:reindex_queue|process)_\w+)(?:\{([^}]*)\})?")
_CONDITION = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


def asked_for(expression: str) -> set[str]:
    """The metrics that it names, as people name them."""
    return {described.name for described, _ in _selectors(expression)}


def check(expression: str) -> None:
    """Fails where it names a metric, a label or a value of a label that there is not."""
    selectors = [*_selectors(expression)]
    assert selectors, expression
    for described, conditions in selectors:
        for label, values in _CONDITION.findall(conditions):
            assert label in described.labels | OF_PROMETHEUS, (expression, label)
            known = VALUES.get(label)
            wanted = set(values.split("|")) if known else set[str]()
            assert wanted <= (known or wanted), (expression, wanted)
    shared = OF_PROMETHEUS.union(*(described.labels for described, _ in selectors))
    for labels in _GROUPING.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= shared, expression


def _selectors(expression: str) -> Iterator[tuple[Described, str]]:
    by_sample = {sample: one for one in metrics().values() for sample in one.samples}
    for name, conditions in _METRIC.findall(expression):
        assert name in by_sample, (expression, name)
        yield by_sample[name], conditions
