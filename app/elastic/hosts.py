"""Several hosts of one cluster: which of them is asked, and which rests because it is silent.

What one request learns of a host holds for all. A host that gave no connection, cut one, or did not
even answer a pulse (`GET /`) rests: it is asked for nothing while another does not, and comes back
when a pulse of its own is answered. How long a request takes says nothing about a host: one that
waits has it asked for a pulse, and goes on waiting where that is answered. Of a single host nothing
of this is done, since there is no other to go to.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from elastic_transport import ConnectionError, ConnectionTimeout

from app.domain.errors import ReindexQueueError
from app.domain.formatting import capped
from app.elastic.errors import CLIENT_ERRORS, MOST_OF_A_FAULT, host_at_fault, to_domain
from app.elastic.http import NotSent
from app.telemetry import logger

log = logger(__name__)

T = TypeVar("T")
Request = Callable[[], Awaitable[T]]

PULSE_SECONDS = 3.0
"""A host that is there answers `GET /` within that time, however busy its cluster is."""

PATIENCE, MORE_PATIENCE = 2.0, 5.0
"""Seconds without an answer of a host after which a request wants a pulse; the second where the
host has answered something since the request was sent."""

CHANGE_SILENCE = 10.0
"""A change is given up, as a cut one is, after so many seconds in which pulses are not answered."""

FIRST_REST, LONGEST_REST = 1.0, 10.0
"""Seconds between two pulses of a host that rests; they double."""

LATELY = 10.0
LOOK = 0.25
AT_ONCE = 20
"""Requests to one host; what is more waits for its turn here."""


class Silent(ConnectionTimeout):
    """The host has given no sign of life while the request waited for its answer."""


class Host:
    """One address. Times are `time.monotonic()`.

    `pulse` answers whether the host does its work, and raises nothing: None where it is silent.
    """

    def __init__(self, url: str, pulse: Callable[[], Awaitable[bool | None]]) -> None:
        self.url = url
        self.resting = False
        self.answered = self.picked = self._pulsed = self._missed = -math.inf
        self._silent_since = math.inf
        self._ask_pulse = pulse
        self._waiting: list[float] = []
        self._room = asyncio.Semaphore(AT_ONCE)
        self._pulse: asyncio.Task[None] | None = None
        self._rest: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """True where a request waits for longer than the host's latest answer is old."""
        since = max(min(self._waiting, default=math.inf), self.answered)
        return time.monotonic() - since > PATIENCE / 2

    async def alone(self, request: Request[T]) -> T:
        """The answer of the only host there is."""
        async with self._room:
            return await request()

    async def watched(self, request: Request[T], most_silence: float) -> T:
        """The answer. Raises `Silent` where no pulse is answered either for `most_silence`."""
        started = time.monotonic()
        self._waiting.append(started)
        task = asyncio.create_task(self.alone(request))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK)
                if not task.done():
                    self._look_after(started, most_silence)
            return task.result()
        except asyncio.CancelledError:  # whoever asked had less patience
            self.listen()
            raise
        finally:
            self._waiting.remove(started)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _look_after(self, started: float, most_silence: float) -> None:
        heard, now = max(started, self.answered), time.monotonic()
        patience = PATIENCE if heard == started else MORE_PATIENCE
        if (self.resting and self._pulsed < started) or now - heard > patience:
            self.listen()
        if self._missed > heard and now - max(started, self._silent_since) >= most_silence:
            raise Silent("it has gone silent: not even a plain GET / is answered")

    def listen(self) -> asyncio.Task[None]:
        """Asks for a pulse, if nobody else does at the moment."""
        if self._pulse is None or self._pulse.done():
            self._pulse = asyncio.create_task(self._listen(), name=f"pulse of {self.url}")
        return self._pulse

    async def _listen(self) -> None:
        self._pulsed = began = time.monotonic()
        well = await self._ask_pulse()
        if well is None:
            self._missed = began
            self.rest("no answer to GET /")
        else:
            self.answered = time.monotonic()
        if well:
            self.hear()

    def hear(self) -> None:
        """It has answered."""
        self.answered = time.monotonic()
        if self.resting:
            log.info("elasticsearch_host_back", host=self.url)
        self.resting, self._silent_since = False, math.inf

    def rest(self, why: str) -> None:
        """It was asked in vain, and rests from now on."""
        if self.resting:
            return
        log.warning("elasticsearch_host_rests", host=self.url, why=why)
        self.resting, self._silent_since = True, time.monotonic()
        if self._rest is None or self._rest.done():
            self._rest = asyncio.create_task(self._resting(), name=f"rest of {self.url}")

    async def _resting(self) -> None:
        pause = FIRST_REST
        while self.resting:
            await asyncio.sleep(pause)
            await asyncio.wait({self.listen()})
            pause = min(2 * pause, LONGEST_REST)

    async def close(self) -> None:
        tasks = [task for task in (self._rest, self._pulse) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class InVain(Exception):
    """No host could be asked. `errors` are the client's, of the hosts in the order of the tries."""

    def __init__(self, tried: Sequence[tuple[Host, Exception]]) -> None:
        super().__init__()
        self.errors = [error for _, error in tried]
        self._urls = [host.url for host, _ in tried]

    def told(self) -> ReindexQueueError:
        return to_domain(list(zip(self._urls, self.errors, strict=True)))


class Hosts:
    """All that ELASTICSEARCH_HOSTS names."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = hosts
        self._several = len(hosts) > 1

    async def ask(self, send: Callable[[Host], Awaitable[T]], *, changing: bool) -> T:
        """The answer of one of them. Raises `InVain`.

        A change is sent once. It goes to another host only where no connection came about.
        """
        tried: list[tuple[Host, Exception]] = []
        while host := self._next([host for host, _ in tried], changing=changing):
            try:
                answer = await self._ask(host, partial(send, host), changing=changing)
            except CLIENT_ERRORS as error:
                self._learn(host, error)
                tried.append((host, error))
                if not self._goes_on(error, changing=changing):
                    break
            else:
                self._learn(host)
                return answer
        raise InVain(tried)

    def _next(self, tried: Sequence[Host], *, changing: bool) -> Host | None:
        """Who is asked now; None where nobody is left. A change goes to whoever has answered last,
        a read to whoever has least to do, and a second time to the only host."""
        left = [host for host in self._hosts if host not in tried]
        if not (left or changing or len(tried) > 1):
            left = list(self._hosts)
        host = min(left, key=_for_a_change if changing else _for_a_read, default=None)
        if host is None or (len(tried) > 1 and host.resting):
            return None
        host.picked = time.monotonic()
        return host

    async def _ask(self, host: Host, request: Request[T], *, changing: bool) -> T:
        if not self._several:
            return await host.alone(request)
        return await host.watched(request, CHANGE_SILENCE if changing else 0.0)

    def _goes_on(self, error: Exception, *, changing: bool) -> bool:
        """True where another try can do no harm, and may help."""
        if isinstance(error, NotSent):
            return True
        if changing:
            return False
        if isinstance(error, ConnectionTimeout) or host_at_fault(error):
            return self._several
        return isinstance(error, ConnectionError)

    def _learn(self, host: Host, error: Exception | None = None) -> None:
        """The others are asked for a pulse when one rests, where it is not known how they are."""
        if not self._several or isinstance(error, ConnectionTimeout):
            return
        if not (isinstance(error, ConnectionError) or host_at_fault(error)):
            host.hear()
            return
        host.rest(capped(str(error), MOST_OF_A_FAULT))
        for other in self._hosts:
            if not other.resting and time.monotonic() - other.answered > LATELY:
                other.listen()

    async def close(self) -> None:
        await asyncio.gather(*(host.close() for host in self._hosts))


def _for_a_read(host: Host) -> tuple[bool, bool, int, float]:
    return host.resting, host.quiet, host.in_flight, host.picked


def _for_a_change(host: Host) -> tuple[bool, bool, float]:
    return host.resting, host.quiet, -host.answered
