"""What keeps a command from being done, each with its exit code."""

from __future__ import annotations


class Trouble(Exception):
    """The command cannot be done: `message` says why, and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misuse(Trouble):
    """The command was not given as it can be done."""

    exit_code = 2


class ServiceAway(Trouble):
    """Nobody answers, or not now."""


class Refusal(Trouble):
    """The service said no. `status` is that of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
