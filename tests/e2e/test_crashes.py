"""A killed service goes on by itself. `make kill` tries every boundary, this is a spread."""

from __future__ import annotations

import random

import pytest

from tests.e2e.crashes import Boundary, Crashes, boundaries
from tests.e2e.kinds import KINDS
from tests.elasticsearch import Elastic

SEED = 20
SWAP = r"_aliases.*remove_index"
"""The request that removes the source and gives its name to the target."""
CLONE = "/_clone/"
EXPIRY = r"remove_index\W+index\W+kept-"
SWAP_BACK = r"remove_index\W+index\W+reindexed-v8-"
"""The request that removes the target and gives its names to the kept copy."""


@pytest.fixture
def crashes(es: Elastic, sqlite_url: str) -> Crashes:
    return Crashes(es, sqlite_url)


async def test_a_plain_index_survives_a_crash_at_any_request_and_commit(crashes: Crashes) -> None:
    kind = KINDS["plain"]
    everywhere = boundaries(await crashes.count(kind))
    chosen = random.Random(SEED)
    died = 0
    for side in ("before", "after"):
        of_side = [boundary for boundary in everywhere if boundary.side == side]
        for boundary in chosen.sample(of_side, 4):
            ending = await crashes.at(kind, boundary)
            assert ending.good, ending
            died += ending.died
    assert died >= 6  # how often a task is asked differs, so the last requests may not come


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_crash_at_the_swap_neither_loses_the_index_nor_swaps_twice(
    crashes: Crashes, side: str
) -> None:
    ending = await crashes.at(KINDS["aliased"], Boundary("request", side, 1, only=SWAP))
    assert ending.died
    assert ending.good, ending


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_post_is_either_answered_and_kept_or_can_be_repeated(
    crashes: Crashes, side: str
) -> None:
    ending = await crashes.at(KINDS["empty"], Boundary("commit", side, 1))
    assert ending.died
    assert ending.good, ending


@pytest.mark.parametrize("name", ["cancelled", "failing"])
async def test_a_crash_on_the_way_back_leaves_the_source_as_it_was_found(
    crashes: Crashes, name: str
) -> None:
    ending = await crashes.at(KINDS[name], Boundary("request", "after", 1, only=SWAP))
    assert ending.died
    assert ending.good, ending


@pytest.mark.parametrize(
    ("name", "side", "only"),
    [
        ("kept", "after", CLONE),
        ("kept", "before", SWAP),
        ("expired", "after", EXPIRY),
        ("rolled-back", "before", SWAP_BACK),
        ("rolled-back", "after", SWAP_BACK),
        ("rolled-back", "after", "PUT /reindexed-v8-[^/]*/_block"),
    ],
)
async def test_a_crash_around_a_kept_copy_neither_loses_it_nor_leaves_it_behind(
    crashes: Crashes, name: str, side: str, only: str
) -> None:
    ending = await crashes.at(KINDS[name], Boundary("request", side, 1, only=only))
    assert ending.died
    assert ending.good, ending


async def test_a_crash_in_a_save_on_postgresql_is_followed_by_a_take_over(
    es: Elastic, postgres_url: str
) -> None:
    ending = await Crashes(es, postgres_url).at(KINDS["closed"], Boundary("commit", "after", 6))
    assert ending.died
    assert ending.good, ending


async def test_a_batch_killed_at_random_moments_is_completed(crashes: Crashes) -> None:
    ending = await crashes.in_a_batch(SEED, kills=4, size=5)
    assert ending.died
    assert ending.good, ending
