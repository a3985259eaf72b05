"""The HTTP status of every error, and that nothing inside decides one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.api.errors import STATUSES, STATUSES_BELOW, http_status_of
from app.domain import errors
from app.domain.errors import (
    AlreadyInProgress,
    ClusterBusy,
    ClusterForbids,
    ClusterRefused,
    Failure,
    IndexNotFound,
    LeaseLost,
    NotCopying,
    OtherCluster,
    ReindexQueueError,
    SmallJobFailed,
    TargetExists,
    WrongKind,
)

EXPECTED = {
    401: {"LoginRefused"},
    403: {
        "RoleMissing",
        "NoRole",
        "LoginForbidden",
        "MissingPrivileges",
        "CallerLacksPrivileges",
        "ClusterForbids",
        "ClusterOutOfReach",
        "LimitedCaller",
        "OutOfReach",
        "PartOutOfReach",
    },
    404: {
        "IndexNotFound",
        "OperationNotFound",
        "UnknownOperation",
        "UnknownBatch",
        "UnknownToken",
        "UnknownWebhook",
    },
    409: {
        "TargetTaken",
        "TargetExists",
        "WrongState",
        "CannotRollBack",
        "KeyReused",
        "TokenNameTaken",
        "TooManyWebhooks",
        "WebhookNameTaken",
    },
    426: {"MixedVersions"},
    502: {"ClusterRefused"},
    500: {
        "ReindexQueueError",
        "Failure",
        "NotBlocked",
        "DocumentsRefused",
        "TaskCancelled",
        "DocumentsDiffer",
        "SmallJobFailed",
        "BackupFailed",
    },
    503: {"TooManyStreams"},
}
"""400: every other `Refused`; 503: what is left."""


def kinds(root: type[ReindexQueueError] = ReindexQueueError) -> Iterator[type[ReindexQueueError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith("app."):
            yield from kinds(kind)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_has_the_status_it_always_had(kind: type[ReindexQueueError]) -> None:
    others = 400 if issubclass(kind, errors.Refused) else 503
    named = [status for status, names in EXPECTED.items() if kind.__name__ in names]
    found = next(STATUSES[one] for one in kind.mro() if one in STATUSES)
    assert found == (named[0] if named else others)
    assert not hasattr(kind, "status")


def test_the_status_goes_by_the_nearest_class() -> None:
    assert http_status_of(ReindexQueueError("x")) == 500
    assert http_status_of(WrongKind("mode", "x")) == 400
    assert http_status_of(NotCopying()) == 400
    assert http_status_of(TargetExists("a")) == 409
    assert http_status_of(LeaseLost()) == 503
    assert http_status_of(OtherCluster("a", "b")) == 503


def test_one_error_has_another_status_in_the_newer_family() -> None:
    error = AlreadyInProgress("a")
    assert http_status_of(error) == 400
    assert http_status_of(error, "/api/upgrade_assistant/reindex/a") == 400
    assert http_status_of(error, "/api/reindex_service/reindex/a") == 409
    assert http_status_of(error, "/api/reindex_service/reindex") == 409
    assert http_status_of(IndexNotFound("a"), "/api/reindex_service/reindex/a") == 404
    assert STATUSES[AlreadyInProgress.__mro__[1]] == 400
    assert list(STATUSES_BELOW) == ["/api/reindex_service/"]


@pytest.mark.parametrize(
    "error",
    [
        AlreadyInProgress("a"),
        ClusterBusy("not now"),
        ClusterForbids("security_exception", "no", 403),
        ClusterRefused("illegal_argument_exception", "no", 400),
        ClusterRefused("resource_not_found_exception", "no", 404),
        Failure("too_late", "Nobody waits for it any more."),
        IndexNotFound("a"),
        OtherCluster("a", "b"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_the_worker_saved_has_the_status_it_would_have_had(
    error: ReindexQueueError,
) -> None:
    status = error.http_status if isinstance(error, ClusterRefused) else None
    saved = SmallJobFailed(error.code, error.message, status)
    assert http_status_of(saved) == http_status_of(error)
    assert (saved.code, saved.message) == (error.code, error.message)
