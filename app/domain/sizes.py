"""Bytes as Elasticsearch writes them, `8.1gb`, and reads them."""

from __future__ import annotations

_UNITS = ("b", "kb", "mb", "gb", "tb", "pb")


def spoken(size: float) -> str:
    """`812b`, `8.1gb`, `-1.5mb`: one decimal at most, steps of 1,024."""
    number, unit = float(size), 0
    while abs(number) >= 1023.95 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    text = f"{number:.0f}" if unit == 0 else f"{number:.1f}".removesuffix(".0")
    return text + _UNITS[unit]


def parsed(text: str) -> int:
    """The bytes of `500mb`, `1.5gb`, `20g`, `0`. Raises `ValueError`."""
    lowered = text.strip().lower()
    for power in range(len(_UNITS) - 1, -1, -1):
        for unit in (_UNITS[power], _UNITS[power][0]):
            if lowered.endswith(unit):
                return int(float(lowered.removesuffix(unit)) * 1024**power)
    return int(lowered)
