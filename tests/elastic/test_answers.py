"""What the cluster told us, as plain values."""

from __future__ import annotations

from typing import Any

import pytest

from app.elastic.answers import index_state

ENTRY: dict[str, Any] = {
    "state": "open",
    "routing_num_shards": 1024,
    "settings": {
        "index.uuid": "D9V7-BJFSJCEU_fm3piclQ",
        "index.number_of_shards": "1",
        "index.version.created": "7171599",
    },
}


@pytest.mark.parametrize(
    "key",
    [
        "index.max_result_window",
        "index.number_of_replicas",
        "index.max_slices_per_scroll",
        "index.routing.allocation.include._tier_preference",
        "index.hidden",
    ],
)
def test_settings_that_7_17_stored_as_null_are_not_set(key: str) -> None:
    """It does so where an index was made with them, and means the default."""
    settings = {**ENTRY["settings"], key: None}
    state = index_state("old", {**ENTRY, "settings": settings})
    assert key not in state.settings
    assert state.replicas == 1
