"""A killed or cut off service goes on by itself: a spread of what `make prove` tries whole."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator

import pytest

from testbed.relay import Relay
from tests.e2e.crashes import Crashes
from tests.e2e.kinds import KINDS
from tests.e2e.orders import Boundary, How, boundaries
from tests.elasticsearch import Elastic

SEED = 20
SWAP = r"_aliases.*remove_index"
"""The request that removes the source and gives its name to the target."""
ALIASES = r"POST /_aliases.*must_exist"
"""The request that moves the aliases where the source stays."""
PAGE = r"POST /reindexed-v8-[^/]*/_search.*_shards"
CLONE = "/_clone/"
EXPIRY = r"remove_index\W+index\W+kept-"
SWAP_BACK = r"remove_index\W+index\W+reindexed-v8-"
"""The request that removes the target and gives its names to the kept copy."""


@pytest.fixture
async def crashes(es: Elastic, relay: Relay, sqlite_url: str) -> AsyncGenerator[Crashes]:
    async with Crashes(es, relay, sqlite_url) as crashes:
        yield crashes


@pytest.mark.parametrize(("name", "each"), [("plain", 2), ("many-shards", 1)])
async def test_an_index_survives_a_break_at_any_request_and_commit(
    crashes: Crashes, name: str, each: int
) -> None:
    kind = KINDS[name]
    counts = await crashes.count(kind)
    cuts = boundaries(counts, "cut", commits=False)
    everywhere = [*boundaries(counts), *cuts]
    chosen = random.Random(SEED)
    for how, side in [(how, side) for how in ("kill", "cut") for side in ("before", "after")]:
        of_side = [b for b in everywhere if (b.how, b.side) == (how, side)]
        left, reached = chosen.sample(of_side, len(of_side)), 0
        while reached < each:  # how often a task is looked at differs: the last ones may not come
            assert left, f"{how} {side}: only {reached} of {each} were reached"
            ending = await crashes.at(kind, left.pop())
            assert ending.good, ending
            reached += ending.reached


@pytest.mark.parametrize("how", ["kill", "cut"])
@pytest.mark.parametrize("name", ["aliased", "old-stays"])
async def test_a_break_at_the_swap_neither_loses_the_index_nor_swaps_twice(
    crashes: Crashes, name: str, how: How
) -> None:
    only = SWAP if name == "aliased" else ALIASES
    for side in ("before", "after"):
        ending = await crashes.at(KINDS[name], Boundary("request", side, 1, only, how))
        assert ending.reached
        assert ending.good, ending


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_post_is_either_answered_and_kept_or_can_be_repeated(
    crashes: Crashes, side: str
) -> None:
    ending = await crashes.at(KINDS["empty"], Boundary("commit", side, 1))
    assert ending.reached
    assert ending.good, ending


@pytest.mark.parametrize("how", ["kill", "cut"])
async def test_a_break_while_all_documents_are_compared_is_of_no_matter(
    crashes: Crashes, how: How
) -> None:
    for side in ("before", "after"):
        ending = await crashes.at(KINDS["compared"], Boundary("request", side, 2, PAGE, how))
        assert ending.reached
        assert ending.good, ending


@pytest.mark.parametrize("name", ["cancelled", "failing"])
async def test_a_crash_on_the_way_back_leaves_the_source_as_it_was_found(
    crashes: Crashes, name: str
) -> None:
    ending = await crashes.at(KINDS[name], Boundary("request", "after", 1, only=SWAP))
    assert ending.reached
    assert ending.good, ending


@pytest.mark.parametrize(
    ("name", "side", "only"),
    [
        ("kept", "after", CLONE),
        pytest.param("kept", "before", SWAP, marks=pytest.mark.wide),
        ("expired", "after", EXPIRY),
        ("rolled-back", "before", SWAP_BACK),
        pytest.param("rolled-back", "after", SWAP_BACK, marks=pytest.mark.wide),
        ("rolled-back", "after", "PUT /reindexed-v8-[^/]*/_block"),
    ],
)
async def test_a_crash_around_a_kept_copy_neither_loses_it_nor_leaves_it_behind(
    crashes: Crashes, name: str, side: str, only: str
) -> None:
    ending = await crashes.at(KINDS[name], Boundary("request", side, 1, only=only))
    assert ending.reached
    assert ending.good, ending


@pytest.mark.parametrize(
    ("how", "side", "number"),
    [("kill", "after", 6), ("cut", "after", 1), ("cut", "before", 4), ("cut", "after", 6)],
)
async def test_a_broken_save_on_postgresql_is_followed_by_a_take_over_or_a_second_look(
    es: Elastic, relay: Relay, postgres_url: str, how: How, side: str, number: int
) -> None:
    async with Crashes(es, relay, postgres_url) as crashes:
        ending = await crashes.at(KINDS["closed"], Boundary("commit", side, number, how=how))
    assert ending.reached
    assert ending.good, ending


async def test_a_batch_killed_at_random_moments_is_completed(crashes: Crashes) -> None:
    ending = await crashes.in_a_batch(SEED, kills=4, size=5)
    assert ending.reached
    assert ending.good, ending
