"""Durations as people read them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])")


def seconds_of(text: str) -> float:
    """From `26h`, `90m`, `1d12h`, `1.5h` or `0`. Raises `ValueError`."""
    given = text.strip().lower()
    parts = _PART.findall(given)
    if given != "0" and (not parts or "".join(number + unit for number, unit in parts) != given):
        raise ValueError(
            f"{text[:40]!r} is not a duration: write it as 26h, 90m or 1d12h (s, m, h, d), or 0"
        )
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def spoken(seconds: float) -> str:
    """`8s`, `2m37s`, `3h05m`, `4d02h`: two units at most; less than a second is `0s`."""
    whole = max(int(seconds), 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    if minutes:
        return f"{minutes}m{whole % 60:02}s"
    return f"{whole}s"
