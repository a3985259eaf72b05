"""Failed logins: how long an address, and a name, have to wait for the next attempt."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from app.domain.clock import boot_seconds

FREE_OF_ADDRESS = 20
"""So many failures cost an address nothing; more than a name, since a proxy may stand for many."""
FREE_OF_NAME = 10
LONGEST_SECONDS = 30.0
"""Short enough that nobody is kept out for good by somebody else who tries under their name."""
FORGOTTEN_SECONDS = 900.0
MOST_KEPT = 10_000
"""Addresses and names together; the one that failed longest ago makes room."""
LONGEST_NAME = 100
IPV6_NETWORK = 64
"""Bits: whoever has one address of IPv6 has all of such a network."""

Key = tuple[str, str]


@dataclass
class _Failures:
    """`until`: no attempt is looked at before that."""

    number: int
    last: float
    until: float


class Attempts:
    """Kept in the memory of this process: a new start forgets them.

    While somebody has to wait, nothing of what they send is looked at, so that a right guess is not
    told from a wrong one.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait(self, address: str, name: str | None) -> float:
        """Seconds until an attempt from `address`, for `name`, is looked at; 0: now."""
        now = boot_seconds()
        found = [self._failures.get(key) for key in _keys(address, name)]
        return max((one.until - now for one in found if one and one.until > now), default=0.0)

    def note_failure(self, address: str, name: str | None) -> None:
        now = boot_seconds()
        for key in _keys(address, name):
            failures = self._failures.pop(key, None)
            number = 1
            if failures and now - failures.last < FORGOTTEN_SECONDS:
                number += failures.number
            self._failures[key] = _Failures(number, now, now + _pause(key, number))
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def note_success(self, name: str) -> None:
        """Forgets the failures of `name`. Those of the address stay: whoever has one login may be
        trying others."""
        self._failures.pop(_key_of_name(name), None)


def _pause(key: Key, number: int) -> float:
    """Seconds after so many failures: none at first, then 1, 2, 4 and so on."""
    beyond = number - (FREE_OF_NAME if key[0] == "name" else FREE_OF_ADDRESS)
    return 0.0 if beyond <= 0 else min(2.0 ** min(beyond - 1, 10), LONGEST_SECONDS)


def _keys(address: str, name: str | None) -> list[Key]:
    return [("address", _network(address)), *([_key_of_name(name)] if name is not None else [])]


def _key_of_name(name: str) -> Key:
    return "name", name[:LONGEST_NAME]


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), IPV6_NETWORK), strict=False))
