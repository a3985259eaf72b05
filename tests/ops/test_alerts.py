"""The alert rules: Prometheus takes them, each fires and is quiet when it is to be, and all that
they ask for is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.packages import program
from tests.ops import promql
from tests.ops.sample import exposition, metrics

ROOT = Path(__file__).parents[2]
RULES, CASES = ROOT / "ops" / "alerts.yml", ROOT / "ops" / "alerts.test.yml"
PAGE = (ROOT / "docs" / "monitoring.md").read_text()

Rule = dict[str, Any]


def rules() -> list[Rule]:
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def promtool(*arguments: str, given: bytes | None = None) -> str:
    """What it says; fails where it finds fault."""
    tool = program("promtool", "prometheus")
    done = subprocess.run(
        [str(tool), *arguments], input=given, capture_output=True, timeout=60, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def test_prometheus_takes_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_each_rule_fires_where_it_is_to() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_prometheus_finds_no_fault_in_the_names_of_metrics() -> None:
    assert promtool("check", "metrics", given=exposition()) == ""


def test_each_rule_is_seen_to_fire_and_to_be_quiet() -> None:
    cases = [
        case
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is(rule: Rule) -> None:
    promql.check(rule["expr"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_every_cause_of_a_hold_is_a_persons_to_see_to_or_lasts_or_is_wanted() -> None:
    by_name = {rule["alert"]: rule["expr"] for rule in rules()}
    (person,) = re.findall(r'cause=~"([^"]*)"', by_name["ReindexQueueHoldsForAPerson"])
    (others,) = re.findall(r'cause!~"([^"]*)"', by_name["ReindexQueueHoldsForLong"])
    wanted = {"stopped", "hours_too_short", "resting", "snapshot", "cluster_strained"}
    assert set(others.split("|")) == {*person.split("|"), *wanted}


NAMING = [RULES, CASES, *(ROOT / "ops").glob("*.json"), ROOT / "docs" / "monitoring.md"]


@pytest.mark.parametrize("file", NAMING, ids=lambda file: file.name)
def test_no_file_names_a_metric_that_is_not_there(file: Path) -> None:
    known = {name for one in metrics().values() for name in (one.name, *one.samples)}
    named = set(re.findall(r"\breindex_queue_\w+", file.read_text()))
    assert named <= known


def test_the_page_has_a_row_for_every_rule_and_no_other() -> None:
    rows = re.findall(r"^\| `(ReindexQueue\w+)` \| (\w+) \| .+ \| .+ \|$", PAGE, re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]
