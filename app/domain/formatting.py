"""Sizes, durations and texts from outside, as they are shown, stored and read."""

from __future__ import annotations

import re

_SIZE_UNITS = ("b", "kb", "mb", "gb", "tb", "pb")


def size_text(size: float) -> str:
    """`812b`, `8.1gb`, `-1.5mb`: one decimal at most, steps of 1,024."""
    number, unit = float(size), 0
    while abs(number) >= 1023.95 and unit < len(_SIZE_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    text = f"{number:.0f}" if unit == 0 else f"{number:.1f}".removesuffix(".0")
    return text + _SIZE_UNITS[unit]


def parsed_size(text: str) -> int:
    """The bytes of `500mb`, `1.5gb`, `20g`, `0`. Raises `ValueError`."""
    lowered = text.strip().lower()
    for power in range(len(_SIZE_UNITS) - 1, -1, -1):
        for unit in (_SIZE_UNITS[power], _SIZE_UNITS[power][0]):
            if lowered.endswith(unit):
                return int(float(lowered.removesuffix(unit)) * 1024**power)
    return int(lowered)


_DURATION_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])")


def parsed_duration(text: str) -> float:
    """From `26h`, `90m`, `1d12h`, `1.5h` or `0`. Raises `ValueError`."""
    given = text.strip().lower()
    parts = _PART.findall(given)
    if given != "0" and (not parts or "".join(number + unit for number, unit in parts) != given):
        raise ValueError(
            f"{text[:40]!r} is not a duration: write it as 26h, 90m or 1d12h (s, m, h, d), or 0"
        )
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)


def duration_text(seconds: float) -> str:
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


_FIGURE = re.compile(r"\d[\d.,]*([kmgtp]?b\b)?")
MOST_CHARACTERS = 2_000
"""Of a sentence of Elasticsearch's: a reason may hold a whole document."""


def capped(text: str, most: int = MOST_CHARACTERS) -> str:
    """`text` in at most so many characters, its end left out.

    Half a surrogate pair, which UTF-8 does not know, and NUL, which PostgreSQL does not take,
    become question marks: a reason shows values of documents, and those may hold both.
    """
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("\0", "?").encode("utf-8", "replace").decode()


def same_but_figures(one: str, other: str) -> bool:
    """True where nothing but figures differs: how full a disk is, how many copies are active."""
    return _FIGURE.sub("", one) == _FIGURE.sub("", other)


def printable(text: str) -> str:
    """`text` in one line that cannot steer a terminal, what cannot be seen written out: `\\x1b` for
    an escape, `\\n` for the end of a line, `\\u200d` for a joiner."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
