"""The clock: what has passed is told by the boot clock, whatever the wall clock is set to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import MOST_ERAS, Clock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0


class Clocks:
    """A machine's two clocks, of which one can be set."""

    def __init__(self) -> None:
        self.boot, self.offset = 1_000.0, NOON.timestamp() - 1_000.0

    def clock(self) -> Clock:
        """As a process that starts now has it."""
        return Clock(lambda: self.boot + self.offset, lambda: self.boot)

    def pass_by(self, seconds: float) -> None:
        self.boot += seconds

    def set_by(self, seconds: float) -> None:
        self.offset += seconds


jumps = st.floats(-2 * DAY, 2 * DAY).filter(lambda seconds: abs(seconds) > 1)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.floats(0.01, HOUR)),
        st.tuples(st.just("is set"), jumps),
        st.tuples(st.just("is stored"), st.just(0.0)),
    ),
    max_size=MOST_ERAS,
)


@given(acts)
def test_clock_what_has_passed_is_what_the_boot_clock_says_however_the_other_is_set(
    todo: list[tuple[str, float]],
) -> None:
    """Each stored time is looked at once soon after, as every wait is."""
    machine = Clocks()
    clock, stored = machine.clock(), dict[datetime, float]()
    for act, seconds in todo:
        if act == "passes":
            machine.pass_by(seconds)
        elif act == "is set":
            machine.set_by(seconds)
        elif (now := clock.now()) not in stored:
            stored[now] = machine.boot
            assert clock.elapsed(now) == pytest.approx(0, abs=1e-3)
        for then, boot in stored.items():
            assert clock.elapsed(then) == pytest.approx(machine.boot - boot, abs=1e-3)
            assert (clock.now() - clock.as_of_now(then)).total_seconds() == pytest.approx(
                machine.boot - boot, abs=1e-3
            )
        assert clock.now() == datetime.fromtimestamp(machine.boot + machine.offset, UTC)


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR, DAY])
def test_clock_a_wait_that_nobody_has_looked_at_before_the_jump_is_not_changed_by_it(
    jump: float,
) -> None:
    machine = Clocks()
    clock = machine.clock()
    since = clock.now()
    machine.pass_by(10)
    machine.set_by(jump)
    assert clock.left(since, 30) == pytest.approx(20)
    machine.pass_by(25)
    assert clock.left(since, 30) == 0
    machine.pass_by(2 * DAY)
    assert clock.elapsed(since) == pytest.approx(2 * DAY + 35)


def test_clock_a_stored_time_in_the_future_counts_from_when_it_is_first_seen() -> None:
    machine = Clocks()
    since = machine.clock().now()
    machine.set_by(-HOUR)
    clock = machine.clock()  # after a restart
    assert clock.left(since, 30) == 30
    machine.pass_by(20)
    assert clock.left(since, 30) == pytest.approx(10)
    machine.pass_by(HOUR)
    assert clock.left(since, 30) == 0


def test_clock_a_stored_time_of_before_the_process_is_taken_as_it_is() -> None:
    machine = Clocks()
    since = machine.clock().now()
    machine.pass_by(40)
    clock = machine.clock()
    assert clock.elapsed(since) == pytest.approx(40)


def test_clock_a_slow_correction_is_followed() -> None:
    machine = Clocks()
    clock = machine.clock()
    since = clock.now()
    for _ in range(1_000):
        machine.pass_by(60)
        machine.set_by(0.03)
        clock.now()
    assert clock.elapsed(since) == pytest.approx(60_000, abs=31)
    assert clock.shown_within(60)[0] == clock.now() - timedelta(seconds=60)


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR, DAY])
def test_clock_an_end_that_was_worked_out_in_this_process_comes_when_its_time_has_passed(
    jump: float,
) -> None:
    machine = Clocks()
    clock = machine.clock()
    set_at = clock.now()
    end = set_at + timedelta(days=7)
    machine.pass_by(6 * DAY)
    clock.now()
    machine.set_by(jump)
    assert not clock.reached(end, set_at)
    assert end <= clock.latest() + timedelta(days=1)
    machine.pass_by(DAY - 1)
    assert not clock.reached(end, set_at)
    machine.pass_by(1)
    assert clock.reached(end, set_at)
    assert end <= clock.latest()


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_clock_an_end_of_before_the_process_has_come_when_every_setting_of_the_clock_says_so(
    jump: float,
) -> None:
    machine = Clocks()
    set_at = machine.clock().now()
    machine.pass_by(DAY)
    clock = machine.clock()
    machine.set_by(jump)
    end = set_at + timedelta(days=2)
    machine.pass_by(DAY - 1)
    assert not clock.reached(end, set_at)
    machine.pass_by(1)
    assert clock.reached(end, set_at) is (jump > 0)
    machine.pass_by(DAY)
    assert clock.reached(end, set_at)


def test_clock_what_was_shown_lately_is_known_over_a_jump() -> None:
    machine = Clocks()
    clock = machine.clock()
    machine.pass_by(50)
    clock.now()
    machine.set_by(-HOUR)
    clock.now()
    machine.pass_by(20)
    least, most = clock.shown_within(30)
    assert least == NOON + timedelta(seconds=50 - HOUR)
    assert most == NOON + timedelta(seconds=50)


def test_clock_more_settings_than_are_remembered_do_no_harm() -> None:
    machine = Clocks()
    clock = machine.clock()
    for _ in range(3 * MOST_ERAS):
        machine.pass_by(10)
        machine.set_by(HOUR)
        since = clock.now()
        machine.pass_by(5)
        assert clock.elapsed(since) == pytest.approx(5)


def test_clock_earliest_is_by_the_least_advanced_setting_that_the_process_has_seen() -> None:
    machine = Clocks()
    clock = machine.clock()
    assert clock.earliest() == clock.now()
    machine.set_by(10 * DAY)
    machine.pass_by(HOUR)
    assert clock.now() == NOON + timedelta(days=10, hours=1)
    assert clock.earliest() == NOON + timedelta(hours=1)
    machine.set_by(-11 * DAY)
    assert clock.earliest() == clock.now() == NOON + timedelta(days=-1, hours=1)
