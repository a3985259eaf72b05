"""Watermarks as Elasticsearch reads them, and what fits below them."""

from __future__ import annotations

import pytest

from app.domain.disk import Balance, Capacity, Demand, Disk, Watermark, overfull, shortage
from app.domain.formatting import parsed_size, size_text

GB = 1024**3


def disk(name: str, available: int, total: int = 100 * GB, *roles: str) -> Disk:
    return Disk(name, name, frozenset(roles or ("data",)), total, available)


def capacity(*disks: Disk, low: str = "85%", high: str = "90%", checked: bool = True) -> Capacity:
    return Capacity(disks, checked, Watermark.of(low), Watermark.of(high), 10, 1_000)


@pytest.mark.parametrize(
    ("value", "headroom", "total", "free"),
    [
        ("85%", None, 1_000, 150),
        ("0.85", None, 1_000, 150),
        ("85%", "-1", 1_000, 150),
        ("85%", "200gb", 10_000 * GB, 200 * GB),
        ("85%", "200gb", 100 * GB, 15 * GB),
        ("500mb", "200gb", 100 * GB, 500 * 1024**2),
        ("1.5gb", None, 100 * GB, 3 * GB // 2),
        ("100%", None, 1_000, 0),
    ],
)
def test_a_watermark_is_a_share_of_the_disk_or_bytes_that_stay_free(
    value: str, headroom: str | None, total: int, free: int
) -> None:
    assert Watermark.of(value, headroom).wants_free(total) == pytest.approx(free, abs=1)


def test_what_fits_below_the_low_watermark_has_room() -> None:
    one = capacity(disk("a", 20 * GB))
    assert shortage(Demand([5 * GB]), one) is None
    told = shortage(Demand([5 * GB + 1]), one)
    assert told == ("the new index needs 5gb of disk, and below the low watermark a has 5gb left")
    assert shortage(Demand([5 * GB + 1]), capacity(disk("a", 0), checked=False)) is None
    assert shortage(Demand([5 * GB + 1]), capacity()) is None


def test_replicas_go_to_other_nodes_and_one_without_a_node_needs_no_room() -> None:
    two = capacity(disk("a", 20 * GB), disk("b", 18 * GB))
    assert shortage(Demand([3 * GB], replicas=1), two) is None
    assert "b has 3gb left" in (shortage(Demand([4 * GB], replicas=1), two) or "")
    assert shortage(Demand([3 * GB], replicas=5), two) is None
    assert shortage(Demand([4 * GB, 3 * GB]), two) is None
    assert shortage(Demand([4 * GB, 4 * GB]), two)
    assert Demand([3 * GB], replicas=5).total(2) == 6 * GB


def test_only_the_disks_of_the_first_tier_that_has_nodes_count() -> None:
    nodes = capacity(
        disk("hot", 90 * GB, 100 * GB, "data_hot"), disk("warm", 16 * GB, 100 * GB, "data_warm")
    )
    assert shortage(Demand([2 * GB], tiers="data_warm,data_hot"), nodes)
    assert shortage(Demand([2 * GB], tiers="data_cold,data_hot"), nodes) is None
    assert [d.name for d in nodes.eligible(None)] == ["hot", "warm"]
    assert [d.name for d in capacity(disk("a", 1)).eligible("data_warm")] == ["a"]


def test_a_node_over_its_watermark_has_nothing_left_and_an_empty_index_fits() -> None:
    over = capacity(disk("a", 5 * GB))
    assert "none left (10gb over it)" in (shortage(Demand([1]), over) or "")
    assert shortage(Demand([0]), over) is None


def test_nothing_is_written_past_the_high_watermark_of_the_nodes_concerned() -> None:
    nodes = capacity(disk("a", 11 * GB), disk("b", 50 * GB))
    assert overfull(["a"], GB, nodes) is None
    assert "the disk of a has 11gb free" in (overfull(["a", "b"], GB + 1, nodes) or "")
    assert overfull(["b"], 2 * GB, nodes) is None


def test_a_kept_copy_costs_its_primaries_once_the_source_is_gone() -> None:
    balance, demand = Balance(), Demand([3, 3], replicas=1)
    balance.add(demand, 2, kept=False, source_stays=False)
    assert (balance.peak, balance.now) == (12, 0)
    assert (balance.shards_peak, balance.shards) == (4, 0)
    balance.add(demand, 2, kept=True, source_stays=False)
    assert (balance.peak, balance.now) == (12, 6)
    assert (balance.shards_peak, balance.shards) == (6, 2)
    balance.add(demand, 2, kept=False, source_stays=False)
    assert (balance.peak, balance.now) == (18, 6)
    balance.add(demand, 2, kept=False, source_stays=True)
    assert (balance.peak, balance.now) == (18, 18)


def test_sizes_are_written_and_read_as_elasticsearch_does() -> None:
    assert [size_text(n) for n in (0, 812, 1023, 1024, 1536, 10 * GB, -1536)] == [
        "0b",
        "812b",
        "1023b",
        "1kb",
        "1.5kb",
        "10gb",
        "-1.5kb",
    ]
    assert size_text(1024**2 - 1) == "1mb"
    assert [parsed_size(t) for t in ("0", "7b", "1kb", "1.5mb", "2TB", "3g", "1.5M")] == [
        0,
        7,
        1024,
        3 * 512 * 1024,
        2 * 1024**4,
        3 * GB,
        3 * 512 * 1024,
    ]
