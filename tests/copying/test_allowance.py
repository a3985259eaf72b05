"""What a rate leaves for the next task."""

from __future__ import annotations

from app.copying.limit import Allowance


def test_what_was_taken_in_advance_is_made_up_for() -> None:
    now = [100.0]
    allowance = Allowance(lambda: now[0])
    assert allowance.due() == 0
    allowance.take(1000, 500)
    assert allowance.due() == 2
    allowance.take(500, 500)
    assert allowance.due() == 3
    now[0] += 10
    assert allowance.due() == 0
    allowance.take(500, 500)
    assert allowance.due() == 1
