"""The health gate's thresholds, and how it lowers and raises the windows in flight."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.copying.gate import Gate, Level, Probe, judge_health, sentence
from app.domain.names import IndexName
from app.domain.pace import ClusterHealth
from app.elastic.answers import NodeVitals, Vitals

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WELL = NodeVitals(
    name="es-1",
    cpu=0.5,
    heap=0.4,
    breaker_trips=2,
    pressure=0.1,
    pressure_rejections=3,
    write_rejections=4,
    search_rejections=5,
    searches_waiting=0,
)
CALM = Vitals({"a": WELL}, "yellow", 0, 0.0)


def with_node(**changed: Any) -> Vitals:
    return replace(CALM, nodes={"a": replace(WELL, **changed)})


@pytest.mark.parametrize(
    ("now", "level", "cause"),
    [
        (CALM, Level.CALM, ""),
        (replace(CALM, status="green"), Level.CALM, ""),
        (with_node(heap=0.84), Level.CALM, ""),
        (with_node(heap=0.85), Level.STRAINED, "heap of es-1 is 85% full"),
        (with_node(heap=0.95), Level.CRITICAL, "heap of es-1 is 95% full"),
        (with_node(pressure=0.7), Level.STRAINED, "indexing pressure of es-1 is at 70%"),
        (with_node(pressure=0.9), Level.CRITICAL, "indexing pressure"),
        (with_node(write_rejections=5), Level.STRAINED, "es-1 rejected 1 writes"),
        (with_node(search_rejections=9), Level.STRAINED, "es-1 rejected 4 searches"),
        (with_node(pressure_rejections=4), Level.STRAINED, "es-1 rejected 1 requests"),
        (with_node(breaker_trips=3), Level.STRAINED, "breaker of es-1 tripped"),
        (with_node(cpu=0.99), Level.CALM, ""),
        (with_node(cpu=0.95, searches_waiting=90), Level.CALM, ""),  # for a moment
        (replace(CALM, status="red"), Level.STRAINED, "the cluster is red"),
        (replace(CALM, pending=50), Level.STRAINED, "50 cluster tasks wait"),
        (replace(CALM, pending=1000), Level.CRITICAL, "1000 cluster tasks wait"),
        (replace(CALM, waited=10.0), Level.STRAINED, "waits for 10 s"),
        (replace(CALM, waited=61.0), Level.CRITICAL, "waits for 61 s"),
        # a node that was started anew counts from 0; one that is new has nothing to compare with
        (with_node(write_rejections=0), Level.CALM, ""),
        (replace(CALM, nodes={"b": replace(WELL, write_rejections=9)}), Level.CALM, ""),
        # what is not told is no cause
        (Vitals(), Level.CALM, ""),
        (replace(CALM, nodes={"a": NodeVitals("es-1")}), Level.CALM, ""),
    ],
)
def test_what_is_a_strain_and_what_is_critical(now: Vitals, level: Level, cause: str) -> None:
    verdict = judge_health(CALM, now)
    assert verdict.level is level
    assert cause in verdict.cause
    assert bool(verdict.cause) == bool(level)


def test_a_busy_cpu_is_a_strain_where_searches_wait_for_longer() -> None:
    waiting = with_node(cpu=0.95, searches_waiting=10)
    verdict = judge_health(waiting, waiting)
    assert (verdict.level, verdict.cause) == (
        Level.STRAINED,
        "CPU of es-1 is at 95% and searches wait",
    )
    few, idle = with_node(cpu=0.95, searches_waiting=2), with_node(searches_waiting=10)
    assert judge_health(few, few).level is judge_health(idle, idle).level is Level.CALM


def test_a_search_is_a_strain_where_it_was_slow_twice_in_a_row() -> None:
    slow, quick = replace(CALM, searched=0.5), replace(CALM, searched=0.49)
    probe = Probe(IndexName("shop"), 0.5)
    verdict = judge_health(slow, slow, probe)
    assert (verdict.level, verdict.cause) == (Level.STRAINED, "the search probe takes 0.5 s")
    for before, now in ((None, slow), (CALM, slow), (quick, slow), (slow, quick), (slow, CALM)):
        assert judge_health(before, now, probe).level is Level.CALM


def test_counters_say_nothing_at_the_first_look() -> None:
    assert judge_health(None, with_node(write_rejections=900)).level is Level.CALM


def test_the_worst_is_named_and_not_too_many() -> None:
    worst = with_node(heap=0.95, write_rejections=8)
    assert judge_health(CALM, worst).cause == "heap of es-1 is 95% full"
    nodes = {str(n): replace(WELL, name=f"es-{n}", heap=0.85) for n in range(5)}
    assert judge_health(None, replace(CALM, nodes=nodes)).cause.endswith(
        "es-2 is 85% full and 2 more"
    )


def test_it_halves_under_strain_and_grows_by_one_after_calm_looks() -> None:
    strained, critical = with_node(heap=0.85), with_node(heap=0.99)
    gate, seen = Gate(), list[int | None]()
    for vitals in (CALM, strained, CALM, strained, critical, critical, *[CALM] * 16):
        gate = gate.look(vitals, 8, NOW)
        seen.append(gate.health.windows)
    down = [None, 4, 4, 2, 0, 0]
    assert seen == [*down, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, None]
    assert gate.health == ClusterHealth()


def test_the_cause_stays_while_it_recovers() -> None:
    gate = Gate().look(with_node(heap=0.99), 3, NOW)
    assert gate.health == ClusterHealth(windows=0, cause="heap of es-1 is 99% full", since=NOW)
    for _ in range(2):
        gate = gate.look(CALM, 3, NOW)
    assert gate.health.windows == 1
    assert gate.health.cause == "recovering: heap of es-1 is 99% full"
    gate = gate.look(with_node(heap=0.85), 3, NOW)
    assert gate.health.windows == 1


def test_a_look_that_fails_changes_no_limit_and_is_said_once() -> None:
    strained = Gate().look(with_node(heap=0.85), 4, NOW)
    blind = strained.blinded("no answer within 4 s")
    assert blind.health.windows == 2
    assert sentence(strained.health, blind.health) == [
        "a look at the cluster failed and changes no limit: no answer within 4 s"
    ]
    assert sentence(blind.health, blind.blinded("another reason").health) == []
    sees = blind.look(CALM, 4, NOW)
    assert sees.health == strained.health
    assert sentence(blind.health, sees.health) == ["looks at the cluster succeed again"]


def test_another_cause_at_the_same_limit_is_said_and_figures_alone_are_not() -> None:
    full = Gate().look(with_node(heap=0.96), 3, NOW)
    more = full.look(with_node(heap=0.99), 3, NOW)
    assert more.health == full.health
    other = more.look(replace(CALM, pending=5000), 3, NOW)
    assert other.health.cause == "5000 cluster tasks wait"
    assert sentence(more.health, other.health) == [
        "still 0 windows at once: 5000 cluster tasks wait"
    ]


def test_what_has_grown_while_nothing_was_copied_is_no_strain() -> None:
    before = Gate().look(CALM, 4, NOW)
    rejected = with_node(write_rejections=900)
    assert before.look(rejected, 4, NOW).health.windows == 2
    assert before.after_a_pause().look(rejected, 4, NOW).health.windows is None


def test_every_change_is_said_with_its_cause() -> None:
    strained = Gate().look(with_node(heap=0.85), 4, NOW)
    assert sentence(ClusterHealth(), strained.health) == [
        "2 windows at once: heap of es-1 is 85% full"
    ]
    assert sentence(strained.health, ClusterHealth()) == ["no limit: the cluster is calm"]
    one = Gate().look(with_node(heap=0.85), 2, NOW).health
    assert sentence(ClusterHealth(), one) == ["1 window at once: heap of es-1 is 85% full"]


def test_on_the_way_up_the_cause_is_told_once_as_recovering() -> None:
    gate = Gate().look(with_node(heap=0.99), 9, NOW)
    for _ in range(6):
        gate = gate.look(CALM, 9, NOW)
    assert (gate.health.windows, gate.health.cause) == (3, "recovering: heap of es-1 is 99% full")


def test_calm_looks_are_counted_anew_after_a_pause() -> None:
    gate = Gate().look(with_node(heap=0.85), 4, NOW).look(CALM, 4, NOW)
    assert gate.calm == 1
    assert gate.after_a_pause().calm == 0
    assert gate.look(CALM, 4, NOW).health.windows == 3
    assert gate.after_a_pause().look(CALM, 4, NOW).health.windows == 2


def test_three_causes_are_all_named() -> None:
    nodes = {str(n): replace(WELL, name=f"es-{n}", heap=0.85) for n in range(3)}
    assert judge_health(None, replace(CALM, nodes=nodes)).cause == (
        "heap of es-0 is 85% full, heap of es-1 is 85% full, heap of es-2 is 85% full"
    )


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        (replace(CALM, status="red"), "the cluster is red"),
        (replace(CALM, pending=50), "50 cluster tasks wait"),
        (replace(CALM, waited=10.0), "the oldest cluster task waits for 10 s"),
    ],
)
def test_what_is_said_of_the_cluster(now: Vitals, cause: str) -> None:
    assert judge_health(CALM, now).cause == cause


@pytest.mark.parametrize(
    ("before", "now", "level"),
    [(0, 0, Level.CALM), (0, None, Level.CALM), (None, 1, Level.CALM), (0, 1, Level.STRAINED)],
)
def test_a_counter_says_something_where_both_looks_tell_it(
    before: int | None, now: int | None, level: Level
) -> None:
    counted = judge_health(with_node(write_rejections=before), with_node(write_rejections=now))
    assert counted.level is level


@pytest.mark.parametrize(
    ("cpu", "waiting", "level"),
    [
        (0.9, 10, Level.STRAINED),
        (0.89, 10, Level.CALM),
        (0.9, 9, Level.CALM),
        (None, 10, Level.CALM),
    ],
)
def test_a_cpu_is_busy_from_nine_tenths_on(cpu: float | None, waiting: int, level: Level) -> None:
    node = with_node(cpu=cpu, searches_waiting=waiting)
    assert judge_health(node, node).level is level


def test_a_look_measures_the_search_that_it_was_given() -> None:
    slow, probe = replace(CALM, searched=0.5), Probe(IndexName("shop"), 0.5)
    gate = Gate().look(slow, 4, NOW, probe)
    assert gate.look(slow, 4, NOW).health.windows is None
    assert gate.look(slow, 4, NOW, probe).health.windows == 2


def test_what_grows_after_a_change_of_the_limit_is_still_a_strain() -> None:
    gate = Gate().look(with_node(heap=0.85), 8, NOW)
    assert gate.look(with_node(write_rejections=9), 8, NOW).health.windows == 2


def test_half_of_an_odd_number_of_windows_is_the_smaller_half() -> None:
    assert Gate().look(with_node(heap=0.85), 3, NOW).health.windows == 1
    assert Gate().look(with_node(heap=0.85), 7, NOW).health.windows == 3
