"""Windows that would take too long are cut again; nothing falls between the parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.copying.plan import split
from app.domain.windows import Window
from tests.elasticsearch import Elastic
from tests.service import running_service


def holds(window: Window, number: int) -> bool:
    above = window.from_seq_no is None or number >= window.from_seq_no
    return above and (window.to_seq_no is None or number < window.to_seq_no)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    low = draw(st.none() | st.integers(0, 50))
    high = draw(st.none() | st.integers((low or 0) + 1, 120))
    documents = draw(st.integers(0, 1000))
    return Window(
        number=3, shard=1, from_seq_no=low, to_seq_no=high, documents=documents, attempt=2
    )


@given(windows(), st.integers(1, 12), st.integers(0, 120), st.integers(-10, 200))
def test_every_sequence_number_of_a_window_is_in_exactly_one_of_its_parts(
    window: Window, parts: int, last: int, number: int
) -> None:
    cut = split(window, parts, last, 7)
    assert len([part for part in cut if holds(part, number)]) == holds(window, number)
    assert 1 <= len(cut) <= parts
    assert sum(part.documents for part in cut) == window.documents
    assert [part.number for part in cut] == [3, *range(7, 7 + len(cut) - 1)]
    assert {part.shard for part in cut} == {1}


@given(windows(), st.integers(2, 12), st.integers(0, 120))
def test_no_task_for_the_whole_is_taken_for_a_part(window: Window, parts: int, last: int) -> None:
    """A task is found by number and attempt."""
    cut = split(window, parts, last, 7)
    assert cut == [window] or (window.number, window.attempt) not in [
        (part.number, part.attempt) for part in cut
    ]


async def test_a_slow_copy_is_cut_finer_while_it_runs(es: Elastic, sqlite_url: str) -> None:
    es.put("/old", {"settings": {"number_of_replicas": 0, "number_of_shards": 2}})
    es.bulk("old", ({"n": n} for n in range(9_000)))
    before = es.documents("old")
    settings = {
        "reindex_window_documents": 3_000,
        "reindex_windows_in_flight": 1,
        "reindex_window_seconds": 0.001,
        "reindex_batch_documents": 500,
    }
    async with running_service(es.url, sqlite_url, **settings) as service:
        (operation,) = (await service.post_options({"index": "old"}))["operations"]
        await service.completed("old")
        shown = await service.shown(operation["id"])
    windows = sorted(shown["windows"], key=lambda w: w["number"])
    assert len(windows) > 4
    assert sum(window["seen"] for window in windows) == 9_000
    cuts = [event["text"] for event in shown["events"] if event["what"] == "window cut"]
    assert cuts
    assert "documents a second" in cuts[0]
    assert es.documents("reindexed-v8-old") == before
