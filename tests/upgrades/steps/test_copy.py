"""When the tasks of a copy are looked at next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.windows import Window, WindowState
from app.upgrades.steps.copy import (
    _next_look,  # pyright: ignore[reportPrivateUsage]
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "seen", "seconds"),
    [
        (0.0, 0, 0.025),  # just started
        (1.0, 0, 0.4),  # nothing known of its speed
        (20.0, 1_000, 2.0),  # far from its end
        (20.0, 9_750, 0.913),  # half a second from it, and a little
        (20.0, 10_000, 0.4),  # should have ended
        (20.0, 12_000, 0.4),  # has more documents than expected
        (600.0, 10_000, 2.0),  # for long
    ],
)
def test_a_window_is_looked_at_when_it_should_have_ended(
    age: float, seen: int, seconds: float
) -> None:
    window = Window(
        number=0,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=10_000,
        state=WindowState.RUNNING,
        seen=seen,
        started_at=NOW - timedelta(seconds=age),
    )
    assert _next_look(window, NOW) == pytest.approx(seconds, abs=0.01)
