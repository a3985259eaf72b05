"""What the routes of `/api/v1` can answer, for the API's document."""

from __future__ import annotations

from app.api.errors import error_answers, refused
from app.api.examples import answers
from app.domain.errors import CannotCancel, UnknownOperation, WrongState

_BAD_QUERY = refused(
    400, "bad_request", "[request query.limit]: Input should be less than or equal to 500"
)
_UNKNOWN = UnknownOperation("0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5b")

LIST = answers("A page of operations", "v1_operations") | error_answers(_BAD_QUERY, 503)
OPERATION = answers("The operation", "v1_operation") | error_answers(_UNKNOWN, 503)
WORKER = answers("The worker and what it does", "v1_worker") | error_answers(503)
DOCTOR = answers("What was looked at, and what was found", "v1_doctor")

CANCELLED = answers("The operation, on its way back", "v1_cancelling") | error_answers(
    CannotCancel("The operation has ended: it is completed."), _UNKNOWN, 503
)
PAUSED = answers("The operation, put aside or soon", "v1_paused") | error_answers(
    WrongState("Only an operation that is going on can be paused; logs-2019 is completed."),
    _UNKNOWN,
    503,
)
RESUMED = answers("The operation, going on", "v1_running") | error_answers(
    WrongState("Only a paused operation can be resumed; logs-2019 is completed."), _UNKNOWN, 503
)
RETRIED = answers("The operation, or the one that follows it", "v1_holding") | error_answers(
    WrongState(
        "Only an operation that failed, was cancelled or waits for something can be tried again; "
        "logs-2019 is completed."
    ),
    _UNKNOWN,
    400,
    403,
    426,
    502,
    503,
)
