"""What of several paces is in force, and how it is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.copying.limit import in_force
from app.domain.hours import Hours, HoursEnd
from app.domain.pace import AfterHours, ClusterHealth, Limit, Pace, Said, Scope, Stop

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SERVICE = Pace(windows_in_flight=3)
USUAL = 3
NIGHT = (Hours.parse("22:00-06:00 UTC"),)
NOONS = (Hours.parse("11:00-13:00 UTC"),)


def limit(now: datetime = NOON, copying: int = 1, *, blocked: bool = False, **said: Any) -> Limit:
    said = {"service": SERVICE, "usual_windows": USUAL, **said}
    return in_force(Said(**said), now, copying, blocked=blocked)


def test_without_anything_said_the_settings_are_in_force() -> None:
    found = limit()
    assert found.limits == ()
    assert (found.requests_per_second, found.windows_in_flight, found.closed) == (None, 3, None)
    assert found.reason == "no rate limit, 3 windows at once (service)"


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ({"service": Pace(windows_in_flight=USUAL + 1)}, ()),
        ({"operation": Pace(windows_in_flight=USUAL)}, ()),
        ({"service": Pace(windows_in_flight=2)}, ("2 windows at once (service)",)),
        ({"batch": Pace(requests_per_second=500)}, ("at most 500 documents a second (batch)",)),
        ({"batch": Pace(requests_per_second=2e6)}, ("at most 2000000 documents a second (batch)",)),
        (
            {"batch": Pace(hours=NOONS)},
            ("hours: 11:00-13:00 UTC (batch), until 2026-11-25 13:00 UTC",),
        ),
        ({"stop": Stop(by="ada", at=NOON)}, ("stopped by ada at 2026-11-25 12:00 UTC",)),
        (
            {"health": ClusterHealth(windows=1, cause="hot")},
            ("1 window at once (health gate: hot)",),
        ),
        ({"health": ClusterHealth(blind="away")}, ("the cluster's health is not known: away",)),
    ],
)
def test_only_what_slows_copies_down_is_a_limit(
    said: dict[str, Any], limits: tuple[str, ...]
) -> None:
    assert limit(**said).limits == limits


MORNING = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
"""An hour after the night."""


@pytest.mark.parametrize(
    ("after", "blocked", "closed", "gives_back"),
    [
        (AfterHours(), True, False, False),
        (AfterHours(), False, True, False),
        (AfterHours(grace=3_601), True, False, False),
        (AfterHours(grace=3_600), True, True, False),
        (AfterHours(HoursEnd.HOLD), True, True, False),
        (AfterHours(HoursEnd.GIVE_BACK), True, True, True),
        (AfterHours(HoursEnd.GIVE_BACK), False, True, False),
    ],
)
def test_hours_that_are_over_stop_what_is_blocked_as_it_is_set(
    after: AfterHours, *, blocked: bool, closed: bool, gives_back: bool
) -> None:
    said: dict[str, Any] = {"batch": Pace(hours=NIGHT), "after_hours": after}
    found = limit(MORNING, blocked=blocked, **said)
    assert (found.closed is not None, found.gives_back) == (closed, gives_back)
    stopped = limit(MORNING, blocked=blocked, stop=Stop(by="ada", at=NOON), **said)
    assert (stopped.stopped, stopped.gives_back) == (True, False)
    assert "stopped by ada" in stopped.reason


def test_the_tightest_of_all_is_in_force_and_is_named() -> None:
    service = Pace(requests_per_second=1000, windows_in_flight=4)
    found = limit(
        service=service,
        batch=Pace(requests_per_second=500, windows_in_flight=6),
        operation=Pace(windows_in_flight=2),
    )
    assert (found.requests_per_second, found.rate_of) == (500, Scope.BATCH)
    assert found.windows_in_flight == 2
    assert found.reason == ("at most 500 documents a second (batch), 2 windows at once (operation)")


def test_the_rate_of_the_service_is_shared_by_its_copies_and_by_windows() -> None:
    service = Pace(requests_per_second=600, windows_in_flight=3)
    found = limit(service=service, copying=2)
    assert found.requests_per_second == 300
    assert "shared by 2 copies" in found.reason
    assert found.share(3) == 100
    assert found.rate_together == 600
    own = Pace(requests_per_second=200)
    own_limit = limit(service=service, operation=own, copying=2)
    assert own_limit.share(1) == own_limit.rate_together == 200


@pytest.mark.parametrize(("rate", "windows"), [(0.1, 1), (9, 1), (25, 2), (1000, 3)])
def test_a_low_rate_is_not_spread_over_many_windows(rate: float, windows: int) -> None:
    assert limit(operation=Pace(requests_per_second=rate)).windows_in_flight == windows


def test_hours_of_all_must_be_open() -> None:
    assert limit(batch=Pace(hours=NOONS)).closed is None
    assert "until 2026-11-25 13:00 UTC" in limit(batch=Pace(hours=NOONS)).reason
    found = limit(batch=Pace(hours=NOONS), operation=Pace(hours=NIGHT))
    assert found.closed
    assert "22:00-06:00 UTC (operation)" in found.closed
    assert "never open together" in found.closed
    night = limit(service=Pace(windows_in_flight=3, hours=NIGHT))
    assert night.closed
    assert "next at 2026-11-25 22:00 UTC" in night.closed
    assert night.until == NOON.replace(hour=22)
    assert not night.stopped


def test_a_stop_comes_before_everything() -> None:
    stop = Stop(by="ada", at=NOON, reason="search is slow")
    found = limit(stop=stop, operation=Pace(hours=NIGHT))
    assert found.reason == found.closed == "stopped by ada at 2026-11-25 12:00 UTC: search is slow"
    assert found.stopped
    assert found.until is None


def test_the_health_gate_lowers_the_windows_and_what_is_not_known_is_said() -> None:
    found = limit(health=ClusterHealth(windows=1, cause="heap of n is 91 % full"))
    assert (found.windows_in_flight, found.windows_planned) == (1, 3)
    assert "1 window at once (health gate: heap of n is 91 % full)" in found.reason
    assert found.ill is None
    ill = limit(health=ClusterHealth(windows=0, cause="heap of n is 99 % full", blind="no answer"))
    assert (ill.windows_in_flight, ill.ill) == (0, "heap of n is 99 % full")
    assert "not known: no answer" in ill.reason
