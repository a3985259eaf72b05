"""How hypothesis runs here: the machine may be busy, so a slow example is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shared machine", deadline=None, print_blob=True)
settings.load_profile("shared machine")
