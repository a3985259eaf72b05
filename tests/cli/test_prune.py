"""`reindex-queue prune`: asks for it, waits for its end, and says what was removed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli import pruning
from app.cli.client import Misuse, Trouble
from app.cli.commands import cli
from app.cli.session import Session
from app.wire.pruning import HistoryAnswer, PruningReport, RemovedReport
from tests.cli.process import run
from tests.e2e.process import ServiceProcess

NOWHERE = {"ELASTICSEARCH_HOSTS": "http://127.0.0.1:9"}


async def test_it_says_what_was_removed_and_why_it_was_refused() -> None:
    async with ServiceProcess(NOWHERE) as service:
        refused = await run("prune", url=service.url)
        assert refused.code == 1
        assert "REINDEX_HISTORY_DAYS" in refused.err
        nothing = await run("prune", "--days", "30", url=service.url)
        assert (nothing.code, nothing.lines) == (0, ["Nothing is old enough to be removed."])
        answer = await run("prune", "--days", "30", "-o", "json", url=service.url)
        said = json.loads(answer.out)
        assert said["auditDays"] == 400.0
        assert said["pruning"]["endedAt"] is not None


def test_the_same_as_curl() -> None:
    printed = CliRunner().invoke(cli, ["prune", "--days", "30", "--curl"], env={"COLUMNS": "200"})
    request, then = printed.output.splitlines()
    assert request.endswith(
        """/api/v1/prune -H 'content-type: application/json' -d '{"days": 30.0}'"""
    )
    assert then.startswith("# then, until endedAt is not null: curl")
    assert then.endswith("/api/v1/prune")


@pytest.mark.parametrize("days", ["-1", "x", "inf", "40000"])
def test_a_number_of_days_that_cannot_be_is_wrong_usage(days: str) -> None:
    assert CliRunner().invoke(cli, ["prune", f"--days={days}"]).exit_code == 2


def test_what_is_no_number_is_wrong_usage(session: Session) -> None:
    with pytest.raises(Misuse, match="from 0 to 36,500"):
        pruning.prune(session, float("nan"))


class Service:
    """Answers one look after the other, the last one again and again."""

    def __init__(self, *looks: HistoryAnswer) -> None:
        self.looks = [look.model_dump(mode="json", by_alias=True) for look in looks]

    def send(self, _request: object) -> object:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def understood(self, raw: object, model: type[HistoryAnswer]) -> HistoryAnswer:
        return model.model_validate(raw)


def look(jobs: int, *, ended: bool) -> HistoryAnswer:
    at = "2026-11-24T10:00:00Z"
    report = PruningReport.model_validate(
        {
            "by": "api:ops",
            "asked_at": at,
            "older_than": at,
            "audit_older_than": at,
            "removed": RemovedReport(batches=1, jobs=jobs, windows=2, events=1_000),
            "ended_at": at if ended else None,
        }
    )
    return HistoryAnswer(history_days=None, audit_days=400.0, pruning=report)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(pruning, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pruning, "PATIENCE_SECONDS", 0.05)
    return Session("http://127.0.0.1:9", as_json=False, curl=False)


def test_it_waits_until_it_is_done(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.__dict__["client"] = Service(
        look(0, ended=False), look(0, ended=False), look(7, ended=False), look(12, ended=True)
    )
    pruning.prune(session, 30.0)
    assert capsys.readouterr().out == (
        "Removed 12 jobs with 2 windows, 1,000 events and 1 batch.\n"
    )


def test_it_does_not_wait_for_ever_where_nobody_does_it(session: Session) -> None:
    session.__dict__["client"] = Service(look(0, ended=False))
    with pytest.raises(Trouble, match="reindex-queue doctor"):
        pruning.prune(session, 30.0)
