"""Durations as people read them."""

from __future__ import annotations


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
