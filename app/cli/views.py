"""What the commands show of operations, the worker and the doctor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.cli.display import (
    Row,
    TextTable,
    between,
    beyond,
    compact,
    count,
    percent,
    say,
    show,
    show_grid,
    speed,
    styled,
)
from app.domain.formatting import duration_text, size_text
from app.domain.job import Pending, State
from app.domain.operation import ProofLevel
from app.wire.events import LoggedEvent
from app.wire.operations import (
    FailureReport,
    Held,
    LimitReport,
    OperationDetails,
    OperationSummary,
    ProgressReport,
)
from app.wire.service import DoctorAnswer, WorkerAnswer

COLUMNS = ("index", "state", "documents", "done", "speed", "eta", "no writes")
NUMBERS = frozenset({"documents", "done", "speed", "eta", "no writes"})
MOST_EVENTS = 12


def operations(shown: Sequence[OperationSummary]) -> None:
    rows = [
        Row([o.index_name, doing(o), *_progress(o.progress), blocked_for(o)], why(o)) for o in shown
    ]
    show(TextTable(COLUMNS, rows, NUMBERS))


def ended(shown: Sequence[OperationSummary]) -> None:
    rows = [Row([o.index_name, o.state.value, _clock(o.ended_at), took(o)], why(o)) for o in shown]
    show(TextTable(("index", "state", "ended", "took"), rows, frozenset({"took"})))


def why(operation: OperationSummary) -> str:
    """Why it waits, goes back or has failed; empty where it simply goes on."""
    parts: list[str] = []
    if operation.error:
        parts.append(operation.error.message)
    if operation.hold and not operation.state.ended:
        parts.append(held(operation.hold))
    if operation.pending and operation.state not in (State.UNDOING, State.PAUSED):
        parts.append(_PENDING[operation.pending])
    if operation.state is State.PAUSED and operation.writes_blocked:
        remedy = f"reindex-queue resume {operation.index_name}"
        parts.append(f"writes to it are blocked; to go on: {remedy}")
    return "; ".join(parts)


_PENDING = {
    Pending.CANCELLING: "is being cancelled",
    Pending.PAUSING: "is being paused",
    Pending.ROLLING_BACK: "is being rolled back",
}


def doing(operation: OperationSummary) -> str:
    """What is being done, or the state where nothing is."""
    if operation.state is not State.RUNNING:
        return operation.state.value
    progress = operation.progress
    if operation.step == "reindexStarted" and progress:
        copied = progress.windows_done == progress.windows_total
        return "proving" if copied else "copying"
    return _DOING[operation.step]


_DOING = {
    "created": "preparing",
    "readonly": "creating the new index",
    "newIndexCreated": "planning the copy",
    "reindexStarted": "copying",
    "reindexCompleted": "restoring settings",
    "indexSettingsRestored": "swapping",
    "aliasCreated": "tidying up",
}


def held(hold: Held) -> str:
    """How long it waits, how often it has tried, when it tries again, and for what it waits."""
    now = datetime.now(UTC)
    waited = max(0.0, (now - hold.since).total_seconds()) if hold.since else None
    since = "waits" if waited is None else f"waits for {duration_text(waited)}"
    tries = f", {count(hold.attempts, 'try', 'tries')}" if hold.attempts > 1 else ""
    left = (hold.next_attempt_at - now).total_seconds() if hold.next_attempt_at else 0.0
    again = f", next try in {duration_text(left)}" if left >= 1 else ""
    return f"{since}{tries}{again}: {hold.reason}"


def limits(pace: LimitReport | None) -> str:
    """What slows a copy down, or stops it; empty where nothing does."""
    return ", ".join(pace.limits) if pace else ""


def blocked_for(operation: OperationSummary) -> str:
    """How long its index has taken no writes; empty where it does."""
    since = operation.writes_blocked_since
    return duration_text((datetime.now(UTC) - since).total_seconds()) if since else ""


def took(operation: OperationSummary) -> str:
    if operation.started_at is None or operation.ended_at is None:
        return ""
    return duration_text((operation.ended_at - operation.started_at).total_seconds())


def _progress(progress: ProgressReport | None) -> list[str]:
    if progress is None:
        return ["", "", "", ""]
    return [
        f"{compact(progress.documents_done)}/{compact(progress.documents_total)}",
        percent(progress.fraction),
        speed(progress.speed),
        eta(progress),
    ]


def eta(progress: ProgressReport) -> str:
    """`2m10s-3m05s`, one figure where both are the same; empty where there is no estimate."""
    if progress.eta_low_seconds is None or progress.eta_high_seconds is None:
        return ""
    return between(progress.eta_low_seconds, progress.eta_high_seconds)


def _clock(at: datetime | None) -> str:
    """Local time; with the day where it is not today."""
    if at is None:
        return ""
    here = at.astimezone()
    today = here.date() == datetime.now().astimezone().date()
    return here.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def worker(answer: WorkerAnswer) -> None:
    """Who works with what, and how much there is to do."""
    cluster = answer.elasticsearch
    reached = f"Elasticsearch {', '.join(cluster.versions)}" if cluster.reachable else cluster.error
    holder = "" if answer.role.mine else f" ({answer.role.holder or 'nobody'} has the role)"
    rows = [
        ("worker", f"{answer.state}{holder}; {answer.database}; {reached}"),
        ("queue", counted(answer.counts)),
    ]
    waits = answer.waits_for and not any(operation.hold for operation in answer.in_hand)
    limited = limits(answer.pace)
    if limited and not (waits and limited == answer.waits_for):
        rows.append(("pace", limited))
    if answer.waits_for and waits:
        rows.append(("waits for", answer.waits_for))
    show_grid(rows)


def counted(counts: dict[State, int]) -> str:
    """`1 running, 16 waiting, 3 completed`; the states without any are left out."""
    found = [f"{number:,} {state.value}" for state, number in counts.items() if number]
    return ", ".join(found) or "nothing was queued yet"


def details(operation: OperationDetails, others: int | None = None) -> None:
    """Everything that a person wants to know of one operation. `others`: of its batch, those that
    are not shown."""
    facts = [
        ("index", operation.index_name),
        ("new index", operation.new_index_name),
        ("state", doing(operation)),
        ("why", why(operation)),
        ("no writes", _blocked(operation)),
        ("progress", _sentence(operation.progress)),
        ("pace", limits(operation.pace)),
        ("queued", f"{_clock(operation.queued_at)} by {operation.caller}"),
        ("started", _clock(operation.started_at)),
        (
            "ended",
            f"{_clock(operation.ended_at)}, took {took(operation)}" if took(operation) else "",
        ),
        ("proof", _proof(operation)),
        ("id", operation.id),
        ("batch", f"{operation.batch_id or ''}{beyond(others)}"),
        *_failure(operation.failure),
    ]
    show_grid([(label, value) for label, value in facts if value])
    events = operation.events[-MOST_EVENTS:]
    say()
    show_grid(
        [(_clock(e.at), f"{e.what}: {e.text}" if e.text else e.what) for e in events],
        ["dim"] * len(events),
    )


def event_line(event: LoggedEvent) -> str:
    """`2026-11-30 10:00:18 | logs-2019 | holds: the cluster is away | worker:host:7`."""
    what = f"{event.what}: {event.text}" if event.text else event.what
    parts = [f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}", event.index_name, what, event.who]
    return " | ".join(part for part in parts if part)


def _blocked(operation: OperationSummary) -> str:
    since = operation.writes_blocked_since
    return f"for {blocked_for(operation)}, since {_clock(since)}" if since else ""


def _failure(failure: FailureReport | None) -> list[tuple[str, str]]:
    """What to do about it, and the documents that were refused."""
    if failure is None:
        return []
    counts = ", ".join(f"{number:,} {kind}" for kind, number in failure.counts.items())
    documents = [
        ("document" if one.id is not None else "search", f"{one.id or ''} {one.type}: {one.reason}")
        for one in failure.documents
    ]
    return [
        ("failed while", _FAILED_WHILE[failure.step]),
        ("what to do", failure.remedy),
        ("refused", counts),
        *documents,
    ]


_FAILED_WHILE = {
    "prepare": "preparing",
    "writeBlock": "blocking writes",
    "createTarget": "creating the new index",
    "planCopy": "planning the copy",
    "copy": "copying and proving",
    "restoreSettings": "restoring settings",
    "swap": "swapping",
}


def _sentence(progress: ProgressReport | None) -> str:
    if progress is None:
        return ""
    done, percents, now, left = _progress(progress)
    rate = now or speed(progress.overall_speed)
    total = progress.bytes_total
    amount = f"{size_text(progress.bytes_done)}/{size_text(total)}" if total else ""
    words = [f"{done} documents", amount, percents, rate, f"ETA {left}" if left else ""]
    windows = count(progress.windows_total, "window")
    return ", ".join(word for word in words if word) + f" ({windows})"


_PROOF_TO_COME = {
    ProofLevel.AUTO: "will compare all documents, or a sample of many",
    ProofLevel.FULL: "will compare all documents",
    ProofLevel.SAMPLE: "will compare a sample",
    ProofLevel.COUNT: "",
}


def _proof(operation: OperationDetails) -> str:
    """What is proven, or how far that is."""
    proof, proving = operation.proof, operation.proving
    if proof:
        return f"{proof.documents:,} documents on both sides ({proof.level})"
    if proving:
        return f"{proving.compared:,} of {proving.documents:,} documents compared so far"
    return _PROOF_TO_COME[operation.proof_level]


def doctor(answer: DoctorAnswer) -> None:
    """A line a check, its remedy below."""
    rows: list[tuple[str, str, str]] = []
    styles: list[str] = []
    for check in answer.checks:
        rows.append((check.verdict, check.name, check.finding))
        rows += [("", "", f"-> {check.remedy}")] if check.remedy else []
        styles += [styled(check.verdict)] * (2 if check.remedy else 1)
    show_grid(rows, styles)
