"""What is answered to a wish for a whole batch."""

from __future__ import annotations

from app.api.v1.wire import Wire
from app.domain.state import Pending, State
from app.domain.wishes import Verdict


class SteeredOperation(Wire):
    """`outcome`: `changed`: done, or soon; `unchanged`: there is nothing to be changed; `tooLate`:
    the swap is done; `refused`: `reason` says why. `followedBy`: the operation that tries again.
    """

    id: str
    index_name: str
    state: State
    pending: Pending | None
    writes_blocked: bool
    outcome: Verdict
    reason: str | None
    followed_by: str | None


class SteeredBatch(Wire):
    """`counts`: of each outcome."""

    id: str
    counts: dict[Verdict, int]
    operations: list[SteeredOperation]
