"""Encrypts all stored secrets with the first key, after a new one was put before the others."""

from __future__ import annotations

from dataclasses import dataclass

from app.sealing import Sealing
from app.store.sealed import Rotation, SealedSecrets
from app.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True)
class KeyRotation:
    secrets: SealedSecrets
    sealing: Sealing

    async def rotate(self, by: str) -> Rotation:
        """Raises `SecretUnusable` where no key can be used, `StoreTrouble`."""
        done = await self.secrets.rotate(self.sealing, by)
        log.info("keys_rotated", by=by, encrypted=done.encrypted, not_opened=done.not_opened)
        return done
