"""Which addresses the service may open by itself: one grammar for every list that allows some.

An address is judged by its parts, never as a text. A name is judged twice: by how it is written,
and by every IP address that it has at the moment of a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from app.domain.errors import AddressNotAllowed, InvalidAddress

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_CHARACTERS = 2_000
"""Of an address."""
PORTS = {"http": 80, "https": 443}
"""Of the schemes that there are, with the port that each has where none is written."""
NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # "this host": Linux takes it for loopback
        "169.254.0.0/16",
        "224.0.0.0/3",  # multicast, and what is reserved behind it
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""No list allows these: link-local ones, those of no single host, and where clouds hand out the
credentials of a machine (169.254.169.254 and fd00:ec2::254 of AWS and most others, then those of
Alibaba, Azure, Oracle and Google)."""
_NAT64 = ip_network("64:ff9b::/96")
_GLOBAL_IPV6 = ip_network("2000::/3")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_GLOB_LABEL = re.compile(r"[a-z0-9_*-]{1,63}")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
"""The last part of a host that resolvers take for an IPv4 address, however it is spelt."""
_PORT = re.compile(r"[0-9]{1,5}")
_ENTRY = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?"
    r"(?:\[(?P<six>[0-9a-f:.]+(?:/\d{1,3})?)\]|(?P<host>[^\[\]:]+)|(?P<bare>[0-9a-f:.]*:[0-9a-f:.]*(?:/\d{1,3})?))"
    r"(?::(?P<ports>[0-9+-]+))?"
)


@dataclass(frozen=True)
class Endpoint:
    """Where an address leads. `host`: in lower case, ASCII, without a dot at its end, an IP address
    in its usual spelling. `target`: path and query, as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The parts of an address. Raises `InvalidAddress`, which repeats nothing of it."""
        if not text or len(text) > MOST_CHARACTERS:
            raise InvalidAddress(f"An address has 1 to {MOST_CHARACTERS} characters.")
        if not all("!" <= sign <= "~" or sign > "\x9f" for sign in text) or "\\" in text:
            raise InvalidAddress("An address has no blanks, control characters or backslashes.")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise InvalidAddress("The host or the port of the address cannot be read.") from None
        if parts.scheme not in PORTS or not host:
            raise InvalidAddress("Write a full address, such as https://hooks.example/path.")
        if "@" in parts.netloc:
            raise InvalidAddress("The address has a login in it. Leave it out.")
        if "#" in text:
            raise InvalidAddress("The address has a fragment (#), which is never sent.")
        if not text.isascii() and not (parts.path + parts.query).isascii():
            raise InvalidAddress("Percent-encode what is not ASCII in the path of the address.")
        if parts.netloc.endswith(":") or port == 0:
            raise InvalidAddress("The port of the address must be from 1 to 65535.")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, _host(host), port or PORTS[parts.scheme], target)

    @property
    def ip(self) -> IPAddress | None:
        """Where the host is an IP address."""
        return _ip(self.host)

    @property
    def authority(self) -> str:
        """The host as people are shown it, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def _host(text: str) -> str:
    """Raises `InvalidAddress`."""
    if ":" in text:
        found = _ip(text)
        if found is None or "%" in text:
            raise InvalidAddress("The IPv6 address in the address is none, or names a zone.")
        return str(found)
    name = _ascii(text)
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        found = _ip(name)
        if found is None:
            raise InvalidAddress(
                "The host ends in a number, and is no IPv4 address of four decimal numbers."
            )
        return str(found)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidAddress("The host of the address is no name of a host.")
    return name


def _ascii(text: str) -> str:
    """A name in lower case and ASCII (IDNA), without a dot at its end. Raises `InvalidAddress`."""
    try:
        name = text.encode("idna").decode().lower()
    except UnicodeError:
        raise InvalidAddress("The host of the address is no name of a host.") from None
    return name.removesuffix(".")


def _ip(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Entry:
    """`glob`: of names; `network`: of IP addresses. One of them. `ports` empty: every port."""

    scheme: str
    glob: re.Pattern[str] | None
    network: Network | None
    ports: tuple[tuple[int, int], ...]

    def fits(self, endpoint: Endpoint) -> bool:
        """By scheme and port."""
        within = not self.ports or any(low <= endpoint.port <= high for low, high in self.ports)
        return self.scheme == endpoint.scheme and within


@dataclass(frozen=True)
class AllowList:
    """Addresses that may be opened. Of an empty one none may."""

    entries: tuple[_Entry, ...] = ()

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """`*.example.com, hooks.example:8443, 10.1.0.0/16:8000-8100+9000, http://127.0.0.1:8080`.

        An entry is a name, an IP address or a CIDR, with a scheme before it (none: https) and ports
        behind it (none: every one). In a name `*` stands for characters without a dot; where it is
        the whole first part it stands for dots, too. Raises `InvalidAddress` with the entry.
        """
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def check(self, endpoint: Endpoint) -> None:
        """Raises `AddressNotAllowed` where it cannot be allowed, whatever its name has for
        addresses."""
        fitting = [entry for entry in self.entries if entry.fits(endpoint)]
        if not fitting:
            raise AddressNotAllowed(_not_listed(endpoint, self))
        if endpoint.ip is not None:
            self.check_addresses(endpoint, [endpoint.ip])
        elif not any(entry.network or _covers(entry, endpoint.host) for entry in fitting):
            raise AddressNotAllowed(_not_listed(endpoint, self))

    def check_addresses(self, endpoint: Endpoint, addresses: Iterable[IPAddress]) -> None:
        """Raises `AddressNotAllowed` unless every address that the host has now is allowed.

        A loopback, private or otherwise not public address must be in a network of the list: a name
        of the list does not do for it.
        """
        fitting = [entry for entry in self.entries if entry.fits(endpoint)]
        named = endpoint.ip is None and any(_covers(one, endpoint.host) for one in fitting)
        networks = [entry.network for entry in fitting if entry.network]
        for address in addresses:
            faces = _faces(address)
            name = f"{endpoint.authority} leads to {address}, which"
            whose = name if endpoint.ip is None else str(address)
            if any(face in network for face in faces for network in NEVER):
                raise AddressNotAllowed(
                    f"{whose} is never allowed: it is "
                    "link-local, of no single host, or hands out credentials of the machine."
                )
            if any(faces[0] in network for network in networks):
                continue
            if not all(_public(face) for face in faces):
                raise AddressNotAllowed(
                    f"{whose} is not public. Such an "
                    "address must be allowed by itself or by a network, not only by a name."
                )
            if not named:
                raise AddressNotAllowed(_not_listed(endpoint, self, address))


def _not_listed(endpoint: Endpoint, allowed: AllowList, address: IPAddress | None = None) -> str:
    if not allowed.entries:
        return f"{endpoint.authority} is not allowed: the list of what is allowed is empty."
    leads = f", which leads to {address}," if address and endpoint.ip is None else ""
    return (
        f"{endpoint.authority}{leads} is not in the list of what is allowed "
        f"(with {endpoint.scheme} and the port {endpoint.port})."
    )


def _covers(entry: _Entry, host: str) -> bool:
    return entry.glob is not None and entry.glob.fullmatch(host) is not None


def _faces(address: IPAddress) -> Sequence[IPAddress]:
    """The address, and those inside of it to which a gateway may lead. The IPv4 address alone where
    it is only another spelling of one."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    found: list[IPAddress] = [address]
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found += address.teredo
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return found


def _public(address: IPAddress) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6 and address not in _NAT64:
        return False
    return address in _NAT64 or (address.is_global and not address.is_multicast)


def _entry(text: str) -> _Entry:
    """Raises `InvalidAddress` with the entry, which is no secret."""
    lowered = text.lower()
    match = _ENTRY.fullmatch(lowered)
    scheme = (match["scheme"] or "https") if match else ""
    if not match or scheme not in PORTS:
        raise _wrong(text, "write a name, an IP address or a CIDR, such as *.example.com:443")
    ports = _ports(text, match["ports"])
    place = match["six"] or match["bare"] or match["host"]
    if ":" in place or "/" in place or _NUMBER.fullmatch(place.removesuffix(".").split(".")[-1]):
        return _Entry(scheme, None, _network(text, place), ports)
    return _Entry(scheme, _glob(text, place), None, ports)


def _network(text: str, place: str) -> Network:
    try:
        network = ip_network(place)
    except ValueError as error:
        raise _wrong(text, f"{place} is no IP address and no CIDR ({error})") from None
    if any(network.version == one.version and _inside(network, one) for one in NEVER):
        raise _wrong(text, "such addresses are never allowed")
    return network


def _inside(network: Network, outer: Network) -> bool:
    return network.network_address in outer and network.prefixlen >= outer.prefixlen


def _glob(text: str, place: str) -> re.Pattern[str]:
    name = place.removesuffix(".")
    if not name.isascii():
        try:
            name = _ascii(name)
        except InvalidAddress:
            raise _wrong(text, "the name is no name of a host") from None
    first, *others = labels = name.split(".")
    if not all(_GLOB_LABEL.fullmatch(label) for label in labels):
        raise _wrong(text, "the name is no name of a host")
    pattern = r"(?:[^.]+\.)*[^.]+" if first == "*" else _of_label(first)
    return re.compile("".join([pattern, *(rf"\.{_of_label(label)}" for label in others)]))


def _of_label(label: str) -> str:
    return "[^.]*".join(re.escape(part) for part in label.split("*"))


def _ports(text: str, written: str | None) -> tuple[tuple[int, int], ...]:
    """`443`, `8000-8100`, several joined by `+`."""
    found: list[tuple[int, int]] = []
    for part in written.split("+") if written else ():
        low, dash, high = part.partition("-")
        if not _PORT.fullmatch(low) or (dash and not _PORT.fullmatch(high)):
            raise _wrong(text, "ports are written 443, 8000-8100 or 443+8443")
        found.append((int(low), int(high or low)))
        if not 1 <= found[-1][0] <= found[-1][1] <= 65_535:
            raise _wrong(text, "a port is from 1 to 65535, and a range goes upwards")
    return tuple(found)


def _wrong(entry: str, why: str) -> InvalidAddress:
    return InvalidAddress(f"{entry[:100]!r}: {why}")
