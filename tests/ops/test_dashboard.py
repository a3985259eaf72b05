"""The dashboard: as it is built, as Grafana's own classes read it, and every expression of it is
one that Prometheus takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from ops.dashboard import ROWS, built, written
from tests.ops import promql
from tests.ops.sample import metrics
from tests.ops.test_alerts import promtool, rules

FILE = Path(__file__).parents[2] / "ops" / "grafana-dashboard.json"

Json = dict[str, Any]
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$cluster": ".*"}
"""What Grafana puts in their places."""


def dashboard() -> Json:
    return json.loads(FILE.read_text())


def panels() -> list[Json]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def as_sent(expression: str) -> str:
    """With values in the places of Grafana's variables."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def test_the_file_is_as_make_dashboard_builds_it() -> None:
    assert FILE.read_text() == written(built())


def test_grafanas_own_classes_read_it_and_write_the_same() -> None:
    read = Dashboard.from_json(dashboard())
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard()


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    found = [as_sent(expression) for expression in expressions()]
    assert len(found) > 30
    recorded = [{"record": f"panel:{n}", "expr": one} for n, one in enumerate(found)]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(found)} rules found" in promtool("check", "rules", str(file))


@pytest.mark.parametrize("expression", [*expressions()])
def test_an_expression_asks_for_what_there_is(expression: str) -> None:
    promql.check(expression)
    assert 'job=~"$job"' in expression


def test_every_metric_of_ours_is_looked_at_somewhere() -> None:
    seen = set[str]()
    for expression in [*expressions(), *(rule["expr"] for rule in rules())]:
        seen |= promql.asked_for(expression)
    assert {name for name in metrics() if name.startswith("reindex_queue_")} <= seen


def test_each_legend_names_labels_that_its_expression_leaves() -> None:
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
                names = {name.strip() for one in grouped for name in one.split(",")}
                assert label in names or not grouped, (panel["title"], label)


def test_panels_have_ids_words_and_a_place_of_their_own() -> None:
    found = dashboard()["panels"]
    assert len({panel["id"] for panel in found}) == len(found) == len(ROWS) + len(panels())
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in found]
    assert all(x + width <= 24 for x, _, width, _ in places)
    for number, (x, y, width, height) in enumerate(places):
        for other_x, other_y, other_width, other_height in places[number + 1 :]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y
    assert all(panel["title"] and panel["description"] for panel in panels())
    assert all(panel["datasource"]["uid"] == "${source}" for panel in panels())
