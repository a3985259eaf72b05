"""Hosts on loopback that are there and say nothing."""

from __future__ import annotations

import socket

_FILLS = 8
_FULL_AFTER = 0.2  # seconds without a connection


class SilentHost:
    """`with SilentHost(accepts=True) as host:`; `host.url` is its address.

    `accepts`: connections come about, and nothing that is sent over them is answered. Otherwise the
    backlog is full, so that packets are dropped, as by a firewall or a machine that is off.
    """

    def __init__(self, *, accepts: bool) -> None:
        self._accepts = accepts
        self._listener = socket.socket()
        self._clients: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> SilentHost:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128 if self._accepts else 0)
        if not self._accepts:
            self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        for open_socket in (self._listener, *self._clients):
            open_socket.close()

    def _fill(self) -> None:
        """Connects until it does not work any more."""
        for _ in range(_FILLS):
            client = socket.socket()
            self._clients.append(client)
            client.settimeout(_FULL_AFTER)
            try:
                client.connect(self._listener.getsockname())
            except TimeoutError:
                return
        raise RuntimeError("the backlog does not become full")
