"""The oldest and the newest series, beside the shared 8.19."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.elasticsearch import ElasticsearchServer


@pytest.fixture(scope="session", params=["7.17", "9.4"])
def other_series(request: pytest.FixtureRequest) -> Iterator[ElasticsearchServer]:
    with ElasticsearchServer(request.param) as server:
        yield server
