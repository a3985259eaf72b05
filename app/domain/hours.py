"""Hours in which copies may run, such as 22:00 to 06:00 of a zone; over midnight as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel

from app.domain.errors import InvalidPace

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE_DAY = 24 * 60
HORIZON_DAYS = 15
"""So far is looked ahead: every weekday comes twice, so once without a change of the clocks."""

_QUARTER = timedelta(minutes=15)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_TEXT = re.compile(r"(?:([a-z,-]+) +)?([0-9:]+)-([0-9:]+) +([^ ]+)")


class HoursEnd(StrEnum):
    """What becomes of an index that is blocked for its copy when the hours end.

    `FINISH`: it goes on for a while; `GIVE_BACK`: it takes writes again, and the copy is thrown
    away; `HOLD`: it waits for the next hours, blocked.
    """

    FINISH = "finish"
    GIVE_BACK = "give-back"
    HOLD = "hold"


class Hours(BaseModel, frozen=True):
    """From `start` until before `end`, minutes after midnight by the clock of `zone`.

    `end` before `start`: until the next day. `days`: on which it begins, by their place in `DAYS`.
    What the clocks leave out is not open, what they repeat is open twice.
    """

    start: int
    end: int
    zone: str
    days: tuple[int, ...] = tuple(range(7))

    @classmethod
    def of(cls, start: str, end: str, zone: str, days: Sequence[str] | None = None) -> Hours:
        """From `22:00`, `06:00`, `Europe/Berlin`, `["fri", "sat"]`. Raises `InvalidPace`."""
        first, last = _minutes(start), _minutes(end)
        if first in (last, WHOLE_DAY):
            raise InvalidPace(
                f"The hours {start}-{end} never open. For whole days write 00:00-24:00."
            )
        chosen = [_day(name) for name in DAYS if name in days] if days is not None else range(7)
        if days is not None and (unknown := sorted(set(days) - set(DAYS))):
            raise InvalidPace(f"{unknown[0][:20]} is not a day: write {', '.join(DAYS)}.")
        if not chosen:
            raise InvalidPace(f"The hours {start}-{end} are for no day, so they never open.")
        _zone(zone)
        return cls(start=first, end=last, zone=zone, days=tuple(chosen))

    @classmethod
    def parse(cls, text: str) -> Hours:
        """From `22:00-06:00 Europe/Berlin` or `mon-fri,sun 22:00-06:00 UTC`.

        Raises `InvalidPace`.
        """
        found = _TEXT.fullmatch(text.strip())
        if not found:
            raise InvalidPace(
                f"{text[:100]!r} are not hours: write them as 22:00-06:00 Europe/Berlin, "
                "or sat,sun 00:00-24:00 UTC."
            )
        days, start, end, zone = found.groups()
        return cls.of(start, end, zone, _days(days) if days else None)

    def __str__(self) -> str:
        days = "" if len(self.days) == 7 else ",".join(DAYS[day] for day in self.days) + " "
        return f"{days}{clock(self.start)}-{clock(self.end)} {self.zone}"

    def holds(self, at: datetime) -> bool:
        """Is it open at that moment?"""
        here = at.astimezone(ZoneInfo(self.zone))
        minute, day = here.hour * 60 + here.minute, here.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


Schedule = tuple[Hours, ...]
"""Open where one of its hours is."""


def are_open(schedules: Sequence[Schedule], at: datetime) -> bool:
    """Open where every schedule is; without any it always is."""
    return all(any(hours.holds(at) for hours in schedule) for schedule in schedules)


def next_change(schedules: Sequence[Schedule], at: datetime) -> datetime | None:
    """When it opens or closes next; None: not within `HORIZON_DAYS`."""
    if not schedules:
        return None
    return _next_change(tuple(schedules), at.replace(second=0, microsecond=0))


@lru_cache(maxsize=128)
def _next_change(schedules: tuple[Schedule, ...], at: datetime) -> datetime | None:
    now = are_open(schedules, at)
    for moment in sorted({*_quarters(at), *_edges(schedules, at)}):
        if moment > at and are_open(schedules, moment) is not now:
            return moment
    return None


def last_change(schedules: Sequence[Schedule], at: datetime) -> datetime | None:
    """When it opened or closed last; None: not within `HORIZON_DAYS`."""
    if not schedules:
        return None
    return _last_change(tuple(schedules), at.replace(second=0, microsecond=0))


@lru_cache(maxsize=128)
def _last_change(schedules: tuple[Schedule, ...], at: datetime) -> datetime | None:
    now, first = are_open(schedules, at), at - timedelta(days=HORIZON_DAYS - 1)
    for moment in sorted({*_quarters(first), *_edges(schedules, first)}, reverse=True):
        if moment <= at and are_open(schedules, moment - timedelta(seconds=1)) is not now:
            return moment
    return None


def _quarters(at: datetime) -> Iterator[datetime]:
    """Whole quarters of an hour: zones change their clocks at no other moment."""
    first = at.replace(minute=at.minute // 15 * 15)
    for number in range(HORIZON_DAYS * 96):
        yield first + number * _QUARTER


def _edges(schedules: Sequence[Schedule], at: datetime) -> Iterator[datetime]:
    """Where hours may begin or end; of times that the clocks repeat both."""
    for hours in {hours for schedule in schedules for hours in schedule}:
        zone = ZoneInfo(hours.zone)
        today = at.astimezone(zone).replace(hour=0, minute=0, tzinfo=None)
        for day in range(HORIZON_DAYS):
            for minutes in (hours.start, hours.end):
                local = today + timedelta(days=day, minutes=minutes)
                for fold in (0, 1):
                    yield local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def clock(minutes: int) -> str:
    """`22:00`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else -1
    if not 0 <= minutes <= WHOLE_DAY:
        raise InvalidPace(f"{text[:20]!r} is not a time of day: write it as 22:00.")
    return minutes


def _days(text: str) -> list[str]:
    """`mon-fri,sun` as the days it names; also over the end of the week."""
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        start = _day(first)
        length = (_day(last) - start) % 7 if last else 0
        found += [DAYS[(start + n) % 7] for n in range(length + 1)]
    return found


def _day(name: str) -> int:
    if name not in DAYS:
        raise InvalidPace(f"{name[:20]!r} is not a day: write {', '.join(DAYS)}.")
    return DAYS.index(name)


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidPace(
            f"{name[:60]!r} is not a time zone: write it as Europe/Berlin, or UTC."
        ) from None
