"""The command `plan`: what a batch would do, for a person to read before it is submitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import typer

from app.cli import requests
from app.cli.client import Misuse
from app.cli.display import Row, TextTable, between, compact, count, say, show, show_grid
from app.cli.session import Session, names_of
from app.domain.formatting import size_text
from app.wire.plans import PlannedIndexReport, PlanReport, SpanReport

COLUMNS = ("index", "verdict", "documents", "size", "takes", "no writes")
NUMBERS = frozenset({"documents", "size", "takes", "no writes"})
VERDICTS = ("ready", "would wait", "would fail", "blocked")
UNKNOWN = "?"
MOST_IN_FULL = 10
"""Of so many indices everything is told; of more only what a person must know."""


def plan(session: Session, given: Sequence[str], *, outdated: bool, trial: bool) -> None:
    """1 where one that was named cannot be reindexed, or a trial failed."""
    names = names_of(given)
    if bool(names) == outdated:
        raise Misuse("Give names or --outdated, and not both.")
    request = requests.plan(names, trial=trial)
    if session.curl:
        session.print_curl(request)
        return
    raw = session.client.send(request)
    answer = session.client.understood(raw, PlanReport)
    if session.as_json:
        session.print_json(raw)
    elif answer.indices:
        _show(answer)
    else:
        say("No index is too old for the next major version.")
    refused = any(one.trial and one.trial.outcome == "refused" for one in answer.indices)
    if refused or (names and answer.blocked):
        raise typer.Exit(1)


def _show(answer: PlanReport) -> None:
    in_full = len(answer.indices) <= MOST_IN_FULL
    rows = [Row(_cells(one), _note(one, in_full=in_full)) for one in answer.indices]
    show(TextTable(COLUMNS, rows, NUMBERS, note="what to know"))
    say()
    show_grid([(label, text) for label, text in _whole(answer) if text])


def _cells(one: PlannedIndexReport) -> list[str]:
    return [
        one.index,
        _verdict(one),
        UNKNOWN if one.documents is None else compact(one.documents),
        UNKNOWN if one.primary_bytes is None else size_text(one.primary_bytes),
        _span(one.duration),
        _span(one.write_block),
    ]


def _verdict(one: PlannedIndexReport) -> str:
    if one.blockers:
        return "blocked"
    if one.trial and one.trial.outcome == "refused":
        return "would fail"
    return "would wait" if one.disk_shortage or one.missing_snapshot else "ready"


def _note(one: PlannedIndexReport, *, in_full: bool) -> str:
    return "; ".join(note.rstrip(".;") for note in _notes(one, in_full=in_full))


def _notes(one: PlannedIndexReport, *, in_full: bool) -> Iterator[str]:
    """What stands in its way first; then what a person may want to do before."""
    yield from (blocker.message for blocker in one.blockers)
    if one.missing_privileges:
        yield f"the service's user lacks {'; '.join(one.missing_privileges)}"
    yield from (text for text in (one.disk_shortage, one.missing_snapshot) if text)
    if one.trial and one.trial.outcome != "fits":
        yield one.trial.text
    if one.blockers:
        return
    if in_full:
        yield from _proof(one)
        yield f"becomes {one.new_index_name}" + (" (tried: it fits)" if _fits(one) else "")
        yield from ([one.why] if one.why else [])
    yield from one.warnings
    if one.dropped_settings:
        yield f"settings that no new index can have: {', '.join(one.dropped_settings)}"
    for reference in sorted(one.references, key=lambda ref: "writes" not in ref.effect):
        if in_full or "writes" in reference.effect:
            kind = "enrich policy" if reference.kind == "enrichPolicy" else reference.kind
            yield f"{kind} {reference.name} {reference.effect}"


def _proof(one: PlannedIndexReport) -> Iterator[str]:
    """How it is proven, where that is not all."""
    if one.proof and one.proof != "full":
        took = f", which takes {_span(one.full_proof)}" if one.full_proof else ""
        yield f'proven by {one.proof}; posted with "proof": "full" every document is compared{took}'


def _fits(one: PlannedIndexReport) -> bool:
    return one.trial is not None and one.trial.outcome == "fits"


def _whole(answer: PlanReport) -> Iterator[tuple[str, str]]:
    verdicts = Counter(map(_verdict, answer.indices))
    words = ", ".join(f"{verdicts[word]:,} {word}" for word in VERDICTS if verdicts[word])
    amount = (
        f"{compact(answer.documents)} documents, {size_text(answer.primary_bytes)} without replicas"
    )
    yield "plan", f"{words}; {amount}"
    yield "takes", _takes(answer)
    if answer.ready and (disk := answer.disk):
        stays = f", {size_text(disk.staying_bytes)} in the end" if disk.staying_bytes else ""
        left = f"{size_text(disk.room_bytes)} left below the low watermark"
        yield "disk", f"{size_text(disk.peak_bytes)} more at a time{stays}; {left}"
        yield "", disk.shortage or ""
    if answer.ready and (shards := answer.shards):
        yield "shards", f"{shards.peak:,} more at a time; {shards.left:,} left"
        yield "", shards.shortage or ""
    if answer.not_looked_for:
        kinds = ", ".join(_KINDS.get(kind, kind) for kind in answer.not_looked_for)
        yield "not seen", f"{kinds}: not there, or not for this user"


_KINDS = {
    "alias": "aliases",
    "lifecycle": "lifecycle policies",
    "pipeline": "pipelines",
    "enrichPolicy": "enrich policies",
    "transform": "transforms",
    "template": "templates",
}


def _takes(answer: PlanReport) -> str:
    if not answer.ready:
        return ""
    if answer.duration is None:
        return "unknown: nothing like it was reindexed yet"
    return f"{_span(answer.duration)}, judged by {count(answer.measured, 'operation')}"


def _span(span: SpanReport | None) -> str:
    """`31s-1m05s`; one figure where both are the same."""
    if span is None:
        return UNKNOWN
    return between(span.low_seconds, span.high_seconds)
