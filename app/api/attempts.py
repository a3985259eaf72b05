"""Failed logins: how long an address, and a name, have to wait for the next guess."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.domain.clock import boot_seconds

FREE_OF_ADDRESS = 50
"""So many wrong guesses cost an address nothing; more than a name, since a proxy may stand for
many."""
FREE_OF_NAME = 10
FEW = 3
"""Failures with a name after which an address is held by those of others with it."""
LONGEST_SECONDS = 30.0
FORGOTTEN_SECONDS = 900.0
MOST_KEPT = 10_000
"""Of each kind; what failed, or was let in, longest ago makes room."""
LONGEST_NAME = 100
AT_ONCE = 5
"""Guesses of an address that are looked at side by side: so many more than are free of charge can
be made before the first of them is known to be wrong."""
IPV6_NETWORK = 64
"""Bits: whoever has one address of IPv6 has all of such a network."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Guess:
    """What somebody tries to log in with. `name`: None where it has none, as a key has."""

    address: str
    name: str | None
    authorization: str


@dataclass
class _Failures:
    """`until`: no guess is looked at before that."""

    number: int
    last: float
    until: float


@dataclass
class _Turn:
    """`waiting`: those that are looked at included."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class Attempts:
    """Kept in the memory of this process: a new start forgets them.

    Only what was never sent before is a guess. A login that was let in once is looked at without a
    wait, so that nobody is kept out by those who guess beside them; and one that was wrong and is
    sent again makes nobody wait but itself, so that one program with an old password locks out no
    other. While somebody has to wait, nothing of what they guess is looked at, so that a right
    guess is not told from a wrong one.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()
        self._let_in: OrderedDict[str, None] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._failures) + len(self._let_in)

    def wait(self, guess: Guess) -> float:
        """Seconds until this is looked at; 0: now."""
        digest = self._digest(guess)
        if digest in self._let_in:
            return 0.0
        now, again = boot_seconds(), ("again", digest)
        keys = [again] if again in self._failures else self._keys_that_wait(guess)
        found = [self._failures.get(key) for key in keys]
        return max((one.until - now for one in found if one and one.until > now), default=0.0)

    @asynccontextmanager
    async def in_turn(self, guess: Guess) -> AsyncGenerator[None]:
        """Around a look that takes a while; what was let in once does not wait for others."""
        if self._digest(guess) in self._let_in:
            yield
            return
        network = _network(guess.address)
        turn = self._turns.setdefault(network, _Turn())
        turn.waiting += 1
        try:
            async with turn.room:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._turns.pop(network, None)

    def note_failure(self, guess: Guess) -> None:
        digest = self._digest(guess)
        self._let_in.pop(digest, None)
        again = ("again", digest)
        known = again in self._failures
        for key in [again] if known else [again, *_keys(guess)]:
            self._count(key)
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def note_success(self, guess: Guess) -> None:
        """Forgets the failures of the name. Those of the address stay: whoever has one login may be
        trying others."""
        digest = self._digest(guess)
        for key in [("again", digest), *_keys_of_name(guess)]:
            self._failures.pop(key, None)
        self._let_in.pop(digest, None)
        self._let_in[digest] = None
        while len(self._let_in) > MOST_KEPT:
            self._let_in.popitem(last=False)

    def _keys_that_wait(self, guess: Guess) -> list[Key]:
        """The pause of a name is for addresses that have failed with it a few times of late: the
        first guesses of any other are looked at, or whoever knows a name could keep its owner
        out."""
        keys = _keys(guess)
        both = self._failures.get(keys[-1])
        young = both is not None and boot_seconds() - both.last < FORGOTTEN_SECONDS
        if both and young and both.number >= FEW:
            return keys
        return [key for key in keys if key[0] != "name"]

    def _count(self, key: Key) -> None:
        now, failures = boot_seconds(), self._failures.pop(key, None)
        number = 1
        if failures and now - failures.last < FORGOTTEN_SECONDS:
            number += failures.number
        self._failures[key] = _Failures(number, now, now + _pause(key, number))

    def _digest(self, guess: Guess) -> str:
        """Nothing that was sent is kept: only this, which is worth nothing beyond this process."""
        text = guess.authorization.encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _pause(key: Key, number: int) -> float:
    """Seconds after so many failures: none at first, then 1, 2, 4 and so on."""
    beyond = number - (FREE_OF_ADDRESS if key[0] == "address" else FREE_OF_NAME)
    return 0.0 if beyond <= 0 else min(2.0 ** min(beyond - 1, 10), LONGEST_SECONDS)


def _keys(guess: Guess) -> list[Key]:
    return [("address", _network(guess.address)), *_keys_of_name(guess)]


def _keys_of_name(guess: Guess) -> list[Key]:
    """The one of name and address is the last. A key has no name, and is counted by address: all
    keys together are nobody's."""
    name = "\0key" if guess.name is None else guess.name[:LONGEST_NAME]
    both = ("both", f"{_network(guess.address)} {name}")
    return [both] if guess.name is None else [("name", name), both]


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
