"""How long phases take: from the first call to the end that is saved."""

from __future__ import annotations

from app.jobs.stopwatch import Stopwatch


class Ticks:
    """A clock that shows what it is set to, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_phase_is_timed_from_its_first_call_however_often_it_is_called() -> None:
    ticks = Ticks()
    stopwatch = Stopwatch(ticks)
    stopwatch.begin("copy")
    ticks.now += 5
    stopwatch.begin("copy")
    ticks.now += 2
    stopwatch.end("copy")
    ticks.now += 50
    assert stopwatch.take(saved=True) == [("copy", 7.0)]
    assert stopwatch.take(saved=True) == []


def test_joined_phases_are_told_apart() -> None:
    ticks = Ticks()
    stopwatch = Stopwatch(ticks)
    for phase, seconds in (("write_block", 1), ("create_target", 2)):
        stopwatch.begin(phase)
        ticks.now += seconds
        stopwatch.end(phase)
    stopwatch.begin("plan_copy")
    assert stopwatch.take(saved=True) == [("write_block", 1.0), ("create_target", 2.0)]


def test_an_end_that_was_not_saved_is_forgotten_and_the_time_goes_on() -> None:
    ticks = Ticks()
    stopwatch = Stopwatch(ticks)
    stopwatch.begin("prepare")
    ticks.now += 1
    stopwatch.end("prepare")
    assert stopwatch.take(saved=False) == []
    assert stopwatch.take(saved=True) == []
    stopwatch.begin("prepare")
    ticks.now += 3
    stopwatch.end("prepare")
    assert stopwatch.take(saved=True) == [("prepare", 4.0)]


def test_a_phase_that_comes_again_is_timed_anew() -> None:
    ticks = Ticks()
    stopwatch = Stopwatch(ticks)
    for seconds in (4, 9):
        stopwatch.begin("copy")
        ticks.now += seconds
        stopwatch.end("copy")
        assert stopwatch.take(saved=True) == [("copy", float(seconds))]
        ticks.now += 100
