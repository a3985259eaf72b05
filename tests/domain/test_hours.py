"""Hours in which copies may run: over midnight, by weekday, and when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidPace
from app.domain.hours import Hours, are_open, last_change, next_change

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_open(hours: str, at: str) -> bool:
    return Hours.parse(hours).holds(utc(at))


def change(hours: str, at: str) -> str | None:
    found = next_change([(Hours.parse(hours),)], utc(at))
    return found and f"{found:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        ("22:00-06:00 UTC", "2026-11-25 21:59:59", False),
        ("22:00-06:00 UTC", "2026-11-25 22:00", True),
        ("22:00-06:00 UTC", "2026-11-26 05:59:59", True),
        ("22:00-06:00 UTC", "2026-11-26 06:00", False),
        ("22:00-06:00 Europe/Berlin", "2026-11-25 21:00", True),
        ("22:00-06:00 Europe/Berlin", "2026-07-25 20:00", True),
        ("22:00-06:00 Asia/Kolkata", "2026-11-25 16:30", True),
        ("00:00-24:00 UTC", "2026-11-25 23:59", True),
        ("22:00-00:00 UTC", "2026-11-25 23:59", True),
        ("22:00-00:00 UTC", "2026-11-26 00:00", False),
        # a night belongs to the day on which it begins; 2026-11-27 is a Friday
        ("fri 22:00-06:00 UTC", "2026-11-28 03:00", True),
        ("fri 22:00-06:00 UTC", "2026-11-27 03:00", False),
        ("sun 22:00-06:00 UTC", "2026-11-30 03:00", True),
        ("sat,sun 00:00-24:00 UTC", "2026-11-30 00:00", False),
        ("sat-mon 10:00-11:00 UTC", "2026-11-30 10:30", True),
        # Berlin's clocks go from 2:00 to 3:00 on 2026-03-29, and from 3:00 to 2:00 on 2026-10-25
        ("02:15-02:45 Europe/Berlin", "2026-03-29 01:20", False),
        ("02:15-02:45 Europe/Berlin", "2026-10-25 00:20", True),
        ("02:15-02:45 Europe/Berlin", "2026-10-25 01:20", True),
    ],
)
def test_open_or_not(hours: str, at: str, *, expected: bool) -> None:
    assert is_open(hours, at) is expected


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        ("22:00-06:00 UTC", "2026-11-25 12:00:30", "2026-11-25 22:00"),
        ("22:00-06:00 UTC", "2026-11-25 22:00:00", "2026-11-26 06:00"),
        ("22:07-22:08 UTC", "2026-11-25 22:08:00", "2026-11-26 22:07"),
        ("mon 00:00-24:00 UTC", "2026-11-25 12:00", "2026-11-30 00:00"),
        ("00:00-24:00 UTC", "2026-11-25 12:00", None),
        # in spring the hour that begins at 2:30 begins when the clocks are put forward
        ("02:30-04:00 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00"),
        ("02:15-02:45 Europe/Berlin", "2026-03-29 00:30", "2026-03-30 00:15"),
        # in autumn it comes twice
        ("02:15-02:45 Europe/Berlin", "2026-10-25 00:45", "2026-10-25 01:15"),
        ("22:00-06:00 Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-04 19:30"),
    ],
)
def test_when_it_changes(hours: str, at: str, expected: str | None) -> None:
    assert change(hours, at) == expected


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        ("22:00-06:00 UTC", "2026-11-25 12:00:30", "2026-11-25 06:00"),
        ("22:00-06:00 UTC", "2026-11-25 22:00:00", "2026-11-25 22:00"),
        ("22:00-06:00 UTC", "2026-11-26 05:59:59", "2026-11-25 22:00"),
        ("mon 00:00-24:00 UTC", "2026-11-25 12:00", "2026-11-24 00:00"),
        ("00:00-24:00 UTC", "2026-11-25 12:00", None),
        ("22:00-06:00 Europe/Berlin", "2026-03-29 05:00", "2026-03-29 04:00"),
        ("22:00-06:00 Europe/Berlin", "2026-10-25 06:00", "2026-10-25 05:00"),
    ],
)
def test_when_it_changed_last(hours: str, at: str, expected: str | None) -> None:
    found = last_change([(Hours.parse(hours),)], utc(at))
    assert (found and f"{found:%Y-%m-%d %H:%M}") == expected


@given(
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.sampled_from([BERLIN, "UTC", "America/St_Johns", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_nothing_changes_before_the_next_change(
    start: int, end: int, zone: str, at: datetime
) -> None:
    if start == end:
        return
    schedules = [(Hours(start=start, end=end, zone=zone),)]
    found = next_change(schedules, at)
    now = are_open(schedules, at)
    if found is None:
        assert (start, end) == (0, 1440)
        return
    assert are_open(schedules, found) is not now
    minute = at.replace(second=0, microsecond=0)
    while minute < found:
        assert are_open(schedules, minute) is now
        minute += timedelta(minutes=7)
    assert are_open(schedules, found - timedelta(seconds=1)) is now


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("22:00-22:00 UTC", "never open"),
        ("24:00-06:00 UTC", "never open"),
        ("25:00-06:00 UTC", "not a time of day"),
        ("22:60-06:00 UTC", "not a time of day"),
        ("22:00-06:00", "not hours"),
        ("at night", "not hours"),
        ("22:00-06:00 Mars/Olympus", "not a time zone"),
        ("22:00-06:00 ../../etc/passwd", "not a time zone"),
        ("22:00-06:00 Europe", "not a time zone"),
        ("someday 22:00-06:00 UTC", "not a day"),
    ],
)
def test_hours_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidPace, match=said):
        Hours.parse(text)


def test_hours_for_no_day_are_refused() -> None:
    with pytest.raises(InvalidPace, match="never open"):
        Hours.of("22:00", "06:00", "UTC", [])


def test_what_is_read_is_what_is_written() -> None:
    for text in ("22:00-06:00 Europe/Berlin", "sat,sun 00:00-24:00 UTC"):
        assert str(Hours.parse(text)) == text
