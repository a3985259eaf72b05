"""The shapes of the rotation of keys."""

from __future__ import annotations

from app.wire.notation import Wire


class RotationAnswer(Wire):
    """What became of the stored secrets."""

    encrypted: int
    """So many are encrypted with the first key of `REINDEX_SECRET_KEYS` now."""
    not_opened: int
    """So many are opened by none of the keys, and stay as they are: they have to be entered again,
    or the key that they were stored with is missing."""
