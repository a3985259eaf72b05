"""Which task is which, and how long one that cannot be seen may still come."""

from __future__ import annotations

import pytest

from app.domain import windows
from app.domain.windows import TaskRef, Watch


class Boot:
    """A boot clock that a test moves."""

    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def boot(monkeypatch: pytest.MonkeyPatch) -> Boot:
    clock = Boot()
    monkeypatch.setattr(windows, "boot_seconds", clock)
    return clock


@pytest.mark.parametrize(
    ("known", "given", "same"),
    [((7,), (7,), True), ((None,), (7,), True), ((7,), (None,), True), ((7,), (8,), False)],
)
def test_task_with_the_same_number_is_the_same_unless_it_started_at_another_time(
    known: tuple[int | None], given: tuple[int | None], *, same: bool
) -> None:
    assert TaskRef(id="n:1", started=known[0]).is_of("n:1", given[0]) is same
    assert not TaskRef(id="n:1", started=known[0]).is_of("n:2", given[0])


def test_watch_of_a_claimed_operation_waits_for_nothing(boot: Boot) -> None:
    watch = Watch()
    assert not watch.unsure
    assert watch.left(90) == 0.0
    assert boot()


def test_watch_waits_for_the_last_start_that_was_lost(boot: Boot) -> None:
    watch = Watch()
    watch.lost(boot() - 10)
    watch.lost(boot() - 30)
    assert watch.unsure
    assert watch.left(90) == 80
    boot.seconds += 85
    assert watch.left(90) == 0.0
    assert watch.unsure  # until somebody has looked once more
    watch.settled()
    assert not watch.unsure


def test_watch_of_an_operation_that_is_taken_over_waits_the_whole_time(boot: Boot) -> None:
    watch = Watch(unsure=True)
    assert watch.left(90) == 90
    watch.arrived(TaskRef(id="n:1", started=1))
    assert not watch.all_arrived  # nobody knows how many were on their way
    boot.seconds += 90
    assert watch.left(90) == 0.0


def test_watch_knows_when_every_lost_start_has_arrived(boot: Boot) -> None:
    watch = Watch()
    for _ in range(2):
        watch.lost(boot())
    for _ in range(2):
        watch.arrived(TaskRef(id="n:1", started=1))
    assert not watch.all_arrived
    watch.arrived(TaskRef(id="n:2", started=1))
    assert watch.all_arrived


def test_watch_counts_from_when_a_node_was_first_missed(boot: Boot) -> None:
    watch, task = Watch(), TaskRef(id="n:1")
    assert watch.away(task, 60) == 60
    boot.seconds += 45
    assert watch.away(task, 60) == 15
    boot.seconds += 45
    assert watch.away(task, 60) == 0.0
