"""Names of hosts, looked up at the moment of a connection, and judged by a list of allowed ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address

from app.domain.addresses import AllowList, Endpoint, IPAddress
from app.domain.errors import HostUnknown

Lookup = Callable[[str], list[IPAddress]]
"""Every address of a name. Raises `OSError` where there is none; it may take long."""


def system_lookup(host: str) -> list[IPAddress]:
    """As the system knows it: hosts file, DNS."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(address[4][0]).partition("%")[0]) for address in found]


class Lookups:
    """Looks names up, each in a thread of its own: a name server that does not answer keeps a
    thread for long, and those of the event loop are for others. Nothing waits for such a thread at
    the end of the process, and a name that is still being looked up is not looked up once more.
    """

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._open: dict[str, asyncio.Future[list[IPAddress]]] = {}

    async def allowed(self, endpoint: Endpoint, allowed: AllowList) -> list[IPAddress]:
        """The addresses that a connection may go to now, each of which was judged.

        Raises `AddressNotAllowed`, `HostUnknown`. Cancel it where it takes too long.
        """
        allowed.check(endpoint)
        if endpoint.ip is not None:
            return [endpoint.ip]
        try:
            found = list(dict.fromkeys(await asyncio.shield(self._begun(endpoint.host))))
        except OSError:
            raise HostUnknown(f"The name {endpoint.host} cannot be resolved.") from None
        if not found:
            raise HostUnknown(f"The name {endpoint.host} has no address.")
        allowed.check_addresses(endpoint, found)
        return found

    def _begun(self, host: str) -> asyncio.Future[list[IPAddress]]:
        if host in self._open:
            return self._open[host]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[IPAddress]] = loop.create_future()

        def tell(found: list[IPAddress] | Exception) -> None:
            self._open.pop(host, None)
            if answer.cancelled():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
                answer.exception()  # seen, though nobody may wait for it any more
            else:
                answer.set_result(found)

        def look() -> None:
            found: list[IPAddress] | Exception
            try:
                found = self._lookup(host)
            except (OSError, ValueError) as error:
                found = OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        self._open[host] = answer
        threading.Thread(target=look, name="lookup", daemon=True).start()
        return answer
