"""Durations as they are set."""

from __future__ import annotations

import pytest

from app.domain.formatting import parsed_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0h", 0),
        ("30s", 30),
        ("90m", 5_400),
        ("26h", 93_600),
        ("1.5h", 5_400),
        ("1d12h", 129_600),
        (" 2H ", 7_200),
    ],
)
def test_duration_as_people_write_it(text: str, seconds: float) -> None:
    assert parsed_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "26", "h", "-2h", "2 hours", "1e3s", "2h!", "∞", "9" * 30 + "h"]
)
def test_duration_that_is_none_is_told_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="26h"):
        parsed_duration(text)
