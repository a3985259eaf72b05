"""The wire models of the pace."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictInt

from app.api.patterns import TIME_OF_DAY
from app.api.schemas import Body, GivenName, without_nul
from app.api.v1.schemas import LimitReport, Time, Wire
from app.domain.hours import DAYS, Hours, clock
from app.domain.pace import LEAST_RATE, MOST_RATE, MOST_WINDOWS, Pace

MOST_HOURS = 20
MOST_REASON = 500

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class HoursBody(Body):
    """From one time of day until another, over midnight where that is earlier."""

    start: Annotated[str, Field(alias="from", pattern=TIME_OF_DAY)]
    end: Annotated[str, Field(alias="to", pattern=TIME_OF_DAY)]
    zone: Annotated[GivenName, Field(max_length=100)]
    """As `Europe/Berlin`, or `UTC`. What its clocks leave out in spring is not open."""
    days: Annotated[list[Day], Field(max_length=7)] | None = None
    """On which it begins. Absent: on every day."""

    def hours(self) -> Hours:
        """Raises `InvalidPace`."""
        return Hours.of(self.start, self.end, self.zone, self.days)


class PaceBody(Body):
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


class StopBody(Body):
    reason: Annotated[GivenName, Field(max_length=MOST_REASON), AfterValidator(without_nul)] = ""
    """Shown wherever somebody asks why nothing moves."""


class HoursReport(Wire):
    start: Annotated[str, Field(alias="from")]
    end: Annotated[str, Field(alias="to")]
    zone: str
    days: list[Day] | None

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
    """`blockedIndices`: their writes stay blocked until it goes on, or they are cancelled."""

    by: str
    at: Time
    reason: str
    blocked_indices: list[str]


class HealthReport(Wire):
    """What the health gate has come to. `windowsInFlight`: null where it limits nothing, 0 where
    nothing new may start. `blind`: why the cluster could not be looked at last."""

    windows_in_flight: int | None
    cause: str
    since: Time | None
    blind: str | None


class PaceAnswer(Wire):
    """What is set in this place, and what is in force. `stored`: false where nobody has set it
    (for the service the settings hold then)."""

    scope: Literal["service", "batch", "operation"]
    requests_per_second: float | None
    windows_in_flight: int | None
    hours: list[HoursReport] | None
    stored: bool
    in_force: LimitReport
    stopped: StopReport | None
    health: HealthReport
