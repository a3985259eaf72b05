"""Every error this service raises on purpose, and what Kibana says in the same case, word by word.

Nothing here knows how an error leaves the service: `api/errors.py` says its HTTP status.

::

    ReindexQueueError              code, message
    ├── Refused                    a request cannot be done as asked; nothing was changed
    │   ├── RoleMissing            the caller may not do it
    │   ├── OutOfReach             not on this index
    │   ├── PartOutOfReach         not on all of this batch
    │   ├── ClusterOutOfReach      not on this cluster
    │   ├── LimitedCaller          not on all of them
    │   ├── LoginRefused           the cluster does not know the caller
    │   ├── LoginForbidden         the cluster knows them, and does not let them ask who they are
    │   ├── NoRole                 they may neither look at the cluster nor manage it
    │   ├── InvalidToken           a token that cannot be made
    │   │   └── TokenNameTaken
    │   ├── UnknownToken
    │   ├── InvalidAddress         what is no address, or no list of allowed ones
    │   ├── AddressNotAllowed      one that the service may not open
    │   ├── HostUnknown            its name leads nowhere now
    │   ├── WebhookNameTaken
    │   ├── TooManyWebhooks
    │   ├── UnknownWebhook
    │   ├── InvalidIndexName
    │   ├── IndexNotFound
    │   ├── NotAnIndex             the name is an alias
    │   ├── AlreadyReindexed       the name is an alias that an operation of ours left
    │   ├── WrongKind              an index of a kind that must be handled otherwise
    │   ├── MissingPrivileges      the service's own user may not do it
    │   │   └── CallerLacksPrivileges  the caller's login at the cluster may not
    │   ├── MixedVersions          the nodes' majors differ
    │   ├── AlreadyInProgress
    │   ├── TargetTaken            two sources would share a target
    │   │   └── TargetExists
    │   ├── OperationNotFound      by its index
    │   ├── UnknownOperation       by its id
    │   ├── UnknownBatch
    │   ├── UnknownCluster
    │   ├── InvalidCursor          a place in the event log that cannot be
    │   ├── TooManyStreams         of events
    │   ├── CannotCancel
    │   │   ├── NotInProgress      it has ended
    │   │   └── NotCopying         the other index has the name already
    │   ├── SecretUnusable         a stored secret cannot be written or read; `code` says why
    │   ├── WrongState             pause, resume or retry of one in another state
    │   ├── CannotRollBack
    │   ├── InvalidPace            a rate, a number of windows or hours that cannot be
    │   ├── NoAge                  nobody has said how old history must be to be removed
    │   └── KeyReused              an Idempotency-Key with another body than before
    ├── Failure                    an operation cannot go on, and waiting will not mend it: undo
    │   ├── ClusterRefused         Elasticsearch said no; `kind` is its error type
    │   │   └── ClusterForbids     because our own user may not (403)
    │   ├── NotBlocked             a write block is not there after it was set
    │   ├── DocumentsRefused       the copy met documents that the target does not take
    │   ├── TaskCancelled          a person cancelled the copy task: so is the operation
    │   └── DocumentsDiffer        the proof failed: both indices are kept
    ├── ClusterTrouble             waiting may mend it: the operation holds
    │   ├── ClusterUnreachable     no answer; a change may have been applied all the same
    │   │   └── NotAnswered        the connection was closed in its place: tried for some minutes
    │   ├── ClusterBusy            429, 503, no master, snapshot, shard limit, …
    │   ├── AnswerMisread          Elasticsearch's, and we do not understand it: tried a few times
    │   ├── SearchRefused          a shard failed a search by what may not pass: tried a few times
    │   ├── AnswerTooLarge         it was not read to its end: tried a few times
    │   ├── CredentialsRefused     401: our own user name, password or key
    │   ├── NotElasticsearch       an answer, but not Elasticsearch's (proxy page, redirect)
    │   ├── OtherCluster           Elasticsearch, but not the cluster that the data are about
    │   └── OtherDatabase          the cluster is worked on by a newer copy of ours, or another one
    ├── NobodyToAsk                the cluster has no security, and so knows no callers
    ├── BackupFailed               a copy of the database cannot be made
    └── StoreTrouble
        ├── StoreUnavailable       the database does not answer
        │   └── StoreFault         it answers, and refuses what it is asked for: a right, a table
        ├── LeaseLost              another service is the worker now
        ├── Outdated               the row was changed since it was read
        ├── InUse                  another job uses an index that this one needs for itself
        ├── SchemaTooNew           a newer release has migrated this database
        └── SchemaTooOld           it was made before 1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.failure import FailedDocument
from app.domain.holds import HoldCause
from app.domain.ownership import Conflict, ConflictKind
from app.domain.remedies import Command, Setting


class ReindexQueueError(Exception):
    """The root: `code` is stable and for programs, `message` is a sentence for people."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(ReindexQueueError):
    code = "refused"


class RoleMissing(Refused):
    """Who asks has not the role that this needs."""

    code = "role_missing"

    def __init__(
        self, name: str, role: str, needed: str, remedy: str = "Ask as somebody who has it."
    ) -> None:
        super().__init__(f"{name} has the role {role}, and this needs the role {needed}. {remedy}")


class LoginRefused(Refused):
    """Elasticsearch does not know who asks, or not any more (401)."""

    code = "unauthorized"

    def __init__(self, cluster: str) -> None:
        super().__init__(
            f"Elasticsearch does not accept this login for the cluster {cluster}. Check the name "
            "and the password, or whether the key or token was revoked, has expired, or is of "
            "another cluster."
        )


class LoginForbidden(Refused):
    """Elasticsearch knows who asks, and does not let them ask who they are."""

    code = "login_forbidden"

    def __init__(self, cluster: str, reason: str) -> None:
        super().__init__(
            f"Elasticsearch does not let this login be used for the cluster {cluster}: {reason}. "
            "Use a login that is not limited to other requests."
        )


class NoRole(Refused):
    """Who asks may neither look at their cluster nor manage it."""

    code = "no_role"

    def __init__(self, name: str, cluster: str) -> None:
        super().__init__(
            f"{name} lacks the cluster privilege monitor on {cluster}. With it one may look at "
            "operations here; with manage one may also post and steer them."
        )


class NobodyToAsk(ReindexQueueError):
    """The cluster has no security, and so knows no logins."""

    code = "security_off"

    def __init__(self, cluster: str) -> None:
        super().__init__(
            f"Nobody can be asked who you are: security is not enabled on the cluster {cluster}. "
            f"Enable it there, or take elasticsearch out of {Setting.AUTH} and log in otherwise."
        )


class OutOfReach(Refused):
    """Who asks may not work on this index. Nothing is said of whether there is one.

    `stands_for_others`: the name itself is within reach, and what it is an alias of is not.
    """

    code = "index_not_allowed"

    def __init__(self, name: str, *, stands_for_others: bool = False) -> None:
        why = "it stands for other indices, and " if stands_for_others else ""
        super().__init__(
            f"You may not work on {name[:255]}: {why}your login is limited to some indices."
        )


class PartOutOfReach(Refused):
    """What is asked for concerns all of a batch, and the caller may not work on all of it."""

    code = "batch_not_allowed"

    def __init__(self, batch_id: str) -> None:
        super().__init__(
            f"The batch {batch_id[:100]} has operations on indices that you may not work on, and "
            "this concerns all of them.",
        )


class ClusterOutOfReach(Refused):
    code = "cluster_not_allowed"

    def __init__(self, name: str, cluster: str) -> None:
        super().__init__(f"{name} may not work on the cluster {cluster}.")


class LimitedCaller(Refused):
    """`what` they are limited in: indices or clusters."""

    code = "limited_caller"

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"{name} is limited to some {what}, and this concerns all {what}. Ask as somebody who "
            "is not limited."
        )


class InvalidToken(Refused):
    code = "invalid_token"


class TokenNameTaken(InvalidToken):
    code = "token_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a token {name} already. Revoke it first, or choose another name."
        )


class UnknownToken(Refused):
    code = "unknown_token"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no token {name[:100]} that could be revoked.")


class InvalidAddress(Refused):
    code = "invalid_address"


class AddressNotAllowed(Refused):
    code = "address_not_allowed"


class HostUnknown(Refused):
    code = "host_unknown"


class WebhookNameTaken(Refused):
    code = "webhook_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a webhook {name} already. Delete it first, or choose another name."
        )


class TooManyWebhooks(Refused):
    code = "too_many_webhooks"

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} webhooks, and no more can be made. Delete one first.")


class UnknownWebhook(Refused):
    code = "unknown_webhook"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no webhook {name[:100]}.")


class InvalidIndexName(Refused):
    code = "invalid_index_name"


class IndexNotFound(Refused):
    code = "index_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"Index {name} does not exist in this cluster.")


class NotAnIndex(Refused):
    code = "not_an_index"

    def __init__(self, name: str, indices: list[str]) -> None:
        shown = ", ".join(indices[:5]) + (", …" if len(indices) > 5 else "")
        super().__init__(
            f"{name} is an alias of {shown}, not an index. Post the name of the index itself."
        )


class AlreadyReindexed(Refused):
    code = "already_reindexed"

    def __init__(self, name: str, target: str) -> None:
        super().__init__(f"{name} was already reindexed: it is now an alias of {target}.")


class WrongKind(Refused):
    """The index is of a kind that cannot be reindexed this way; `code` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MissingPrivileges(Refused):
    """`target` only where the client named one (Kibana's two texts); `missing` in words."""

    code = "missing_privileges"

    def __init__(self, name: str, target: str | None, missing: Sequence[str]) -> None:
        to = f' to "{target}"' if target else ""
        super().__init__(f'You do not have adequate privileges to reindex "{name}"{to}.')
        self.missing = tuple(missing)


class CallerLacksPrivileges(MissingPrivileges):
    """Not our own user lacks them, but who asks, with a login of the cluster. `undertaking`: what
    they would have done."""

    code = "caller_lacks_privileges"

    def __init__(self, name: str, missing: Sequence[str], undertaking: str = "reindex") -> None:
        super().__init__(name, None, missing)
        self.message = (
            f'You do not have adequate privileges to {undertaking} "{name}": the login that asked '
            f"lacks {', '.join(missing)}."
        )


class MixedVersions(Refused):
    """A rolling upgrade is under way: an index made now may not be opened by the older nodes."""

    code = "mixed_versions"

    def __init__(self) -> None:
        super().__init__("There are some nodes running a different version of Elasticsearch")


class AlreadyInProgress(Refused):
    code = "already_in_progress"

    def __init__(self, name: str) -> None:
        super().__init__(f"A reindex operation already in-progress for {name}")


class TargetTaken(Refused):
    code = "target_taken"


class TargetExists(TargetTaken):
    def __init__(self, target: str) -> None:
        super().__init__(f"The index {target} already exists. Please try again.")


class OperationNotFound(Refused):
    code = "operation_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"No reindex operation found for index {name}")


class UnknownOperation(Refused):
    code = "unknown_operation"

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"There is no operation {operation_id[:100]}.")


class UnknownBatch(Refused):
    code = "unknown_batch"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"There is no batch {batch_id[:100]}.")


class UnknownCluster(Refused):
    code = "unknown_cluster"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no cluster {name[:100]} here.")


class InvalidCursor(Refused):
    """It is no cursor of events, or one of other event logs than these."""

    code = "invalid_cursor"


class TooManyStreams(Refused):
    """So many streams of events are open that one more is refused."""

    code = "too_many_streams"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} streams of events are open, and this service holds no more. Try again when "
            "one of them has ended, or ask for pages instead: without Accept: text/event-stream."
        )


class CannotCancel(Refused):
    code = "cannot_cancel"


class NotInProgress(CannotCancel):
    def __init__(self) -> None:
        super().__init__("Reindex operation is not in progress")


class NotCopying(CannotCancel):
    def __init__(self) -> None:
        super().__init__("Reindex operation is not currently waiting for reindex task to complete")


class CannotRollBack(Refused):
    """`code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidPace(Refused):
    code = "invalid_pace"


class NoAge(Refused):
    code = "no_age"

    def __init__(self) -> None:
        super().__init__(
            "Say how old history must be to be removed: give a number of days, or set "
            f"{Setting.HISTORY_DAYS}."
        )


class KeyReused(Refused):
    """`by_another`: somebody else has used it, for indices that the caller may not see."""

    code = "idempotency_key_reused"

    def __init__(self, *, by_another: bool = False) -> None:
        before = "was used by somebody else" if by_another else "came with another body"
        super().__init__(f"This Idempotency-Key {before} before. A new request needs a new key.")


class SecretUnusable(Refused):
    """A secret cannot be stored, or one that is stored cannot be used; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class WrongState(Refused):
    """What was asked for does not fit the state that the operation is in."""

    code = "wrong_state"


class Failure(ReindexQueueError):
    """The operation cannot go on. `code` says why in one word for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ClusterRefused(Failure):
    """Elasticsearch refused a call.

    `kind` is its error type (`index_not_found_exception`), `http_status` its status; `kinds` are
    that type and, of the error of a search, the types of what is inside of it.
    """

    def __init__(self, kind: str, reason: str, http_status: int, kinds: Sequence[str] = ()) -> None:
        super().__init__(kind, f"Elasticsearch refused ({http_status} {kind}): {reason}")
        self.kind = kind
        self.kinds = tuple(kinds) or (kind,)
        self.reason = reason
        self.http_status = http_status


class ClusterForbids(ClusterRefused):
    """Elasticsearch refused a call to our own user (403)."""


class NotBlocked(Failure):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__("not_blocked", f"Could not set apply {kind} to {name}.")


class DocumentsRefused(Failure):
    """`documents`: the first of them; `counts`: how many by Elasticsearch's error type."""

    def __init__(
        self, message: str, documents: Sequence[FailedDocument], counts: Mapping[str, int]
    ) -> None:
        super().__init__("copy_failed", message)
        self.documents = tuple(documents)
        self.counts = dict(counts)


class TaskCancelled(Failure):
    """Somebody cancelled the copy task through the task API (Kibana takes it so, too)."""

    def __init__(self) -> None:
        super().__init__("task_cancelled", "The reindex task was cancelled by user request.")


class DocumentsDiffer(Failure):
    """The copy is not proven complete. Source and target are both kept for a person to look at.

    `documents`: the first that differ; `counts`: how many are missing, and differ.
    """

    def __init__(
        self,
        message: str,
        documents: Sequence[FailedDocument] = (),
        counts: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__("documents_differ", message)
        self.documents = tuple(documents)
        self.counts = dict(counts or {})


class ClusterTrouble(ReindexQueueError):
    """`cause`: what an operation that met it waits for.

    `not_done`: what was asked for was surely not done: it was not sent, or Elasticsearch itself
    said no. Elsewhere a change may have been applied, or may yet be.
    """

    code = "cluster_trouble"
    cause: HoldCause
    not_done = False


class ClusterUnreachable(ClusterTrouble):
    code = "cluster_unreachable"
    cause = HoldCause.CLUSTER_UNREACHABLE


class NotAnswered(ClusterUnreachable):
    """The connection was closed in the place of an answer. Elasticsearch does so where it cannot
    write one: the mapping of an index of 497 levels (8.19, 9.4)."""

    cause = HoldCause.NO_ANSWER


class ClusterBusy(ClusterTrouble):
    code = "cluster_busy"
    cause = HoldCause.CLUSTER_BUSY


class AnswerMisread(ClusterTrouble):
    """It comes from Elasticsearch, by its product header. What we ask for may be too new for us, or
    too deep, or it is a fault of ours: waiting is not sure to mend it."""

    code = "answer_misread"
    cause = HoldCause.ANSWER_MISREAD


class SearchRefused(ClusterTrouble):
    """A shard failed a search by something of which nobody knows that it passes."""

    code = "search_refused"
    cause = HoldCause.SEARCH_REFUSED


class AnswerTooLarge(ClusterTrouble):
    code = "answer_too_large"
    cause = HoldCause.ANSWER_TOO_LARGE


class CredentialsRefused(ClusterTrouble):
    code = "credentials_refused"
    cause = HoldCause.CREDENTIALS_REFUSED


class NotElasticsearch(ClusterTrouble):
    code = "not_elasticsearch"
    cause = HoldCause.NOT_ELASTICSEARCH


class OtherCluster(ClusterTrouble):
    code = "other_cluster"
    cause = HoldCause.OTHER_CLUSTER

    def __init__(self, found: str, known: str) -> None:
        self.finding = (
            f"The cluster that answers ({found}) is not the one that the data are about ({known})."
        )
        self.remedy = (
            f"Correct {Setting.HOSTS}, or give the service another database with "
            f"{Setting.DATABASE}; if both are the same cluster, set {Setting.CLUSTER_UUID} to "
            f"{found}."
        )
        super().__init__(f"{self.finding} {self.remedy}")


class OtherDatabase(ClusterTrouble):
    """This database changes nothing in the cluster until a person says that it goes on."""

    code = "other_database"
    cause = HoldCause.OTHER_DATABASE

    def __init__(self, conflict: Conflict) -> None:
        seen, own = conflict.seen, conflict.own
        if conflict.kind is ConflictKind.NEWER:
            self.finding = (
                f"This database is not the newest one: the cluster has seen its term {seen.term}, "
                f"and it knows of {own.term}. It was restored from an older copy, or a copy of it "
                "is at work."
            )
        else:
            self.finding = (
                f"Another database of Reindex Queue ({seen.instance}) works on this cluster, or "
                "has worked on it since this one did."
            )
        self.remedy = (
            "See to it that no other service works on this cluster, and say that this database "
            f"goes on: {Command.ADOPT}"
        )
        super().__init__(f"{self.finding} {self.remedy}")


class SmallJobFailed(ReindexQueueError):
    """An error that the worker has met and saved, for the client that waits for a small job.

    `kind`: the class it had there, as far as its code and Elasticsearch's `status` tell.
    """

    def __init__(self, code: str, message: str, status: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.kind: type[ReindexQueueError] = _kind_of(code)
        if status is not None:
            self.kind = ClusterForbids if status == 403 else ClusterRefused


def _kind_of(code: str) -> type[ReindexQueueError]:
    """The class with that `code`; a failure has one of its own."""
    known = [ReindexQueueError]
    for kind in known:
        if kind.code == code:
            return kind
        known += kind.__subclasses__()
    return Failure


class BackupFailed(ReindexQueueError):
    code = "backup_failed"


class StoreTrouble(ReindexQueueError):
    code = "store_trouble"


class StoreUnavailable(StoreTrouble):
    code = "store_unavailable"


class StoreFault(StoreUnavailable):
    """Nothing that passes by itself: somebody has to give a right or a table back."""

    code = "store_fault"


class LeaseLost(StoreTrouble):
    code = "lease_lost"

    def __init__(self) -> None:
        super().__init__("Another service has taken over the worker role.")


class Outdated(StoreTrouble):
    code = "outdated"

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"Operation {operation_id} was changed since it was read.")


class InUse(StoreTrouble):
    """Another job uses an index that this one needs for itself."""

    code = "index_in_use"

    def __init__(self, index: str, job_id: str, about: str) -> None:
        super().__init__(f"{index} is in use by the operation {job_id} on {about}")
        self.index = index
        self.about = about

    def told(self, seen: bool) -> str:
        """`seen`: whoever is told may know of the other job."""
        return self.message if seen else f"{self.index} is in use by another operation"


class SchemaTooNew(StoreTrouble):
    code = "schema_too_new"


class SchemaTooOld(StoreTrouble):
    code = "schema_too_old"
