"""Windows in flight: how long one rests that has to run again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.copying.flight import (
    LONGEST_PAUSE,
    _rests_until,  # pyright: ignore[reportPrivateUsage]
)
from app.domain.windows import Window, WindowState

ENDED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, None), (1, 1), (2, 2), (5, 16), (6, LONGEST_PAUSE), (5000, LONGEST_PAUSE)],
)
def test_a_window_rests_for_longer_each_time_and_never_beyond_half_a_minute(
    failures: int, seconds: float | None
) -> None:
    """After a night of rejections it has run a thousand times; a stop is no failure."""
    window = Window(
        number=0,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=1,
        batch=1,
        state=WindowState.PLANNED,
        attempt=9,
        failures=failures,
        ended_at=ENDED,
    )
    until = _rests_until(window)
    if seconds is None:
        assert until <= ENDED
    else:
        assert (until - ENDED).total_seconds() == seconds
