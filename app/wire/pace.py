"""The shapes of the pace: how fast copies may go, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictInt

from app.domain.hours import DAYS, Hours, clock
from app.domain.pace import LEAST_RATE, MOST_RATE, MOST_WINDOWS, Pace
from app.wire.notation import TIME_OF_DAY, GivenName, Sent, Time, Wire, without_nul
from app.wire.operations import LimitReport

MOST_HOURS = 20
MOST_REASON = 500

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class HoursBody(Sent):
    """From one time of day until another, over midnight where that is earlier."""

    start: Annotated[str, Field(alias="from", pattern=TIME_OF_DAY)]
    """Such as `22:00`, by the clock of `zone`."""
    end: Annotated[str, Field(alias="to", pattern=TIME_OF_DAY)]
    """Such as `06:00`; `24:00` is the end of the day."""
    zone: Annotated[GivenName, Field(max_length=100)]
    """As `Europe/Berlin`, or `UTC`. What its clocks leave out in spring is not open."""
    days: Annotated[list[Day], Field(max_length=7)] | None = None
    """On which it begins. Absent: on every day."""

    def hours(self) -> Hours:
        """Raises `InvalidPace`."""
        return Hours.of(self.start, self.end, self.zone, self.days)


class PaceBody(Sent):
    """How fast copies may go. The tightest of service, batch and operation is in force."""

    requests_per_second: (
        Annotated[float, Field(strict=True, ge=LEAST_RATE, le=MOST_RATE, allow_inf_nan=False)]
        | None
    ) = None
    """Documents a second, as Elasticsearch means it; that of the service is for all copies
    together. null: no limit."""
    windows_in_flight: Annotated[StrictInt, Field(ge=1, le=MOST_WINDOWS)] | None = None
    """Copy tasks of an operation at once. null: as the wider scope says."""
    hours: Annotated[list[HoursBody], Field(min_length=1, max_length=MOST_HOURS)] | None = None
    """When copies may run. null: always."""

    def whole(self) -> Pace:
        """What is absent is not limited. Raises `InvalidPace`."""
        rate, hours = self.requests_per_second, self.hours
        return Pace(
            requests_per_second=None if rate is None else float(rate),
            windows_in_flight=self.windows_in_flight,
            hours=None if hours is None else tuple(one.hours() for one in hours),
        )

    def instead(self, _before: Pace) -> Pace:
        """What is absent is not limited. Raises `InvalidPace`."""
        return self.whole()

    def merged(self, before: Pace) -> Pace:
        """What is absent stays as it was. Raises `InvalidPace`."""
        given = {name: getattr(self.whole(), name) for name in self.model_fields_set}
        return before.model_copy(update=given)


class StopBody(Sent):
    """Why everything is stopped."""

    reason: Annotated[GivenName, Field(max_length=MOST_REASON), AfterValidator(without_nul)] = ""
    """Shown wherever somebody asks why nothing moves."""


class HoursReport(Wire):
    """From one time of day until another, over midnight where that is earlier."""

    start: Annotated[str, Field(alias="from")]
    """When they open, by the clock of `zone`."""
    end: Annotated[str, Field(alias="to")]
    """When they close."""
    zone: str
    """Whose clock counts, such as `Europe/Berlin`."""
    days: list[Day] | None
    """The days on which they open. null: every day."""

    @classmethod
    def of(cls, hours: Hours) -> HoursReport:
        every_day = len(hours.days) == len(DAYS)
        return cls.model_validate(
            {
                "from": clock(hours.start),
                "to": clock(hours.end),
                "zone": hours.zone,
                "days": None if every_day else [DAYS[day] for day in hours.days],
            }
        )


class StopReport(Wire):
    """Somebody has stopped everything before the swap."""

    by: str
    """Who has stopped it."""
    at: Time
    """When it was stopped."""
    reason: str
    """What was given as the reason; may be empty."""
    blocked_indices: list[str]
    """Indices that take no writes until the stop ends, or until they are cancelled."""


class HealthReport(Wire):
    """What the health gate has come to."""

    windows_in_flight: int | None
    """It lets so many parts of an index be copied at once. null: it limits nothing. 0: nothing
    new may start."""
    cause: str
    """Why it limits something; empty where it does not."""
    since: Time | None
    """When it came to that. null: it limits nothing."""
    blind: str | None
    """Why the cluster could not be looked at last. null: it could."""


class PaceAnswer(Wire):
    """What is set in this place, and what is in force."""

    scope: Literal["service", "batch", "operation"]
    """The place."""
    requests_per_second: float | None
    """Documents a second, as it is set here. null: no limit."""
    windows_in_flight: int | None
    """Copy tasks of an operation at once, as it is set here. null: as the wider scope says."""
    hours: list[HoursReport] | None
    """When copies may run, as it is set here. null: always."""
    stored: bool
    """False where nobody has set it here; for the service the settings hold then."""
    in_force: LimitReport
    """The tightest of service, batch and operation."""
    stopped: StopReport | None
    """null: nobody has stopped everything."""
    health: HealthReport
    """What the health gate says; it is part of what is in force."""
