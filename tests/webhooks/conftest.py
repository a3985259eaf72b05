"""A receiver that the service trusts, and pauses that are short."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.webhooks import sender
from tests.receiver import Receiver, receiving


def _short(_: int) -> float:
    return 0.1


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for pauses that it is not about."""
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(sender, "TROUBLE_SECONDS", 0.1)
    monkeypatch.setattr(sender, "pause_after", _short)


@pytest.fixture
async def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Receiver]:
    async with receiving(tmp_path) as receiver:
        monkeypatch.setenv("SSL_CERT_FILE", str(receiver.authorities))
        yield receiver
