"""Why an operation waits. Each cause says what outside ends it."""

from __future__ import annotations

from enum import StrEnum


class HoldCause(StrEnum):
    """What is waited for. Every `Hold` names one, and every `ClusterTrouble` stands for one.

    Where nothing outside is sure to end it, there is an end of `patience`: then it is a failure.
    """

    STOPPED = "stopped"
    """A person has stopped all copies, or the hours for copies are over."""
    HOURS_TOO_SHORT = "hours_too_short"
    """The index would still be blocked when the hours end; it begins when they open."""
    RESTING = "resting"
    """It was given back because a hold kept it blocked for long; it is blocked again later."""
    SNAPSHOT = "snapshot"
    """A snapshot takes the index, or is due before the swap; one after the other is not waited
    for."""
    NO_SNAPSHOT = "no_snapshot"
    """The index is in no snapshot that is as new as the settings want."""
    NOT_ALLOCATED = "not_allocated"
    """No node may have a shard of the new index, by the cluster's settings or the index's."""
    CLUSTER_STRAINED = "cluster_strained"
    """The health gate lets nothing start."""
    ROLE_RENEWED = "role_renewed"
    """This service does not know for the moment whether it is still the worker."""
    CLUSTER_UNREACHABLE = "cluster_unreachable"
    CLUSTER_BUSY = "cluster_busy"
    """Elasticsearch says that it cannot do it now: a snapshot, no master, full queues, …"""
    CREDENTIALS_REFUSED = "credentials_refused"
    NOT_ELASTICSEARCH = "not_elasticsearch"
    """Something before Elasticsearch answers in its place."""
    OTHER_CLUSTER = "other_cluster"
    OTHER_DATABASE = "other_database"
    """A newer copy of this database, or another one, works on the cluster: a person says which
    goes on."""
    INDEX_IN_USE = "index_in_use"
    """Another job uses an index that this one needs for itself; it makes room for others."""
    UNKNOWN_POSITION = "unknown_position"
    """Another release has worked on it, and this one does not know how it goes on."""
    MIXED_VERSIONS = "mixed_versions"
    DISK_SPACE = "disk_space"
    """The new index does not fit on the disks, or a disk is so full that writes are blocked."""
    SHARDS_AWAY = "shards_away"
    """A primary that is needed is not active, or does not answer."""
    COPIES_AWAY = "copies_away"
    """Fewer shard copies are active than the source had."""
    TARGET_LOST = "target_lost"
    """A primary of the target is lost; it may come back with its node."""
    COPY_RUNS_AGAIN = "copy_runs_again"
    """A part of the copy met something that passes, and rests before it runs again."""
    TASK_RUNNING = "task_running"
    """A copy task of the operation has not ended yet; or one may still begin, since the answer to
    its start was lost, or come back with its node."""
    TIDYING_REFUSED = "tidying_refused"
    """Elasticsearch refuses what is to be done after the swap."""
    RESTORE_REFUSED = "restore_refused"
    """Elasticsearch refuses to give the source back as it was found."""

    UNDO_REFUSED = "undo_refused"
    """Elasticsearch refuses to remove what the operation made, or to end its tasks."""
    NOT_SEEN = "not_seen"
    """A change was accepted, and is not in the cluster state."""
    ANSWER_MISREAD = "answer_misread"
    """Elasticsearch has answered, and the answer cannot be understood."""
    ANSWER_TOO_LARGE = "answer_too_large"
    SEARCH_REFUSED = "search_refused"
    """A search of documents or numbers fails on a shard, by what may not pass."""
    NO_ANSWER = "no_answer"
    """Elasticsearch closes the connection at this request, and answers others."""
    CRASHED = "crashed"
    """An exception that nobody expected."""

    @property
    def patience(self) -> int | None:
        """How often in a row it is waited for; None: as long as it lasts."""
        return _PATIENCE.get(self)


_PATIENCE = {
    HoldCause.UNDO_REFUSED: 6,
    HoldCause.NOT_SEEN: 6,
    HoldCause.ANSWER_MISREAD: 6,
    HoldCause.ANSWER_TOO_LARGE: 6,
    HoldCause.SEARCH_REFUSED: 6,
    HoldCause.NO_ANSWER: 12,
    HoldCause.CRASHED: 3,
}
"""Nothing outside is sure to end these. Six tries take about half a minute, twelve about four."""
