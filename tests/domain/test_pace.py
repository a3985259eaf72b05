"""Which paces can be asked for."""

from __future__ import annotations

import math

import pytest

from app.domain.errors import InvalidPace
from app.domain.pace import Pace


@pytest.mark.parametrize("rate", [0, -1, 0.01, math.nan, math.inf, -math.inf, 1e9])
def test_a_rate_that_cannot_be_is_refused(rate: float) -> None:
    with pytest.raises(InvalidPace, match="pace/stop"):
        Pace(requests_per_second=rate).checked()


@pytest.mark.parametrize("windows", [0, -1, 51])
def test_a_number_of_windows_that_cannot_be_is_refused(windows: int) -> None:
    with pytest.raises(InvalidPace, match="from 1 to 50"):
        Pace(windows_in_flight=windows).checked()


def test_no_hours_at_all_are_refused() -> None:
    with pytest.raises(InvalidPace, match="never open"):
        Pace(hours=()).checked()
