"""Settings, routes and commands that the messages of inner layers name as a remedy.

The domain and the use cases know neither HTTP nor the environment nor a command line. Where a
sentence of theirs tells a person what to turn, it takes the name from here; a test sees to it that
there is something of each name.
"""

from __future__ import annotations

from enum import StrEnum


class Setting(StrEnum):
    """Of the environment."""

    HOSTS = "ELASTICSEARCH_HOSTS"
    USERNAME = "ELASTICSEARCH_USERNAME"
    API_KEY = "ELASTICSEARCH_APIKEY"
    DATABASE = "DATABASE_URL"
    AUTH = "SERVER_AUTH"
    CLUSTER_UUID = "REINDEX_CLUSTER_UUID"
    KEEP_OLD_INDEX = "REINDEX_KEEP_OLD_INDEX"
    REQUIRE_SNAPSHOT = "REINDEX_REQUIRE_SNAPSHOT"
    HOURS_END = "REINDEX_HOURS_END"
    HISTORY_DAYS = "REINDEX_HISTORY_DAYS"
    SEARCH_PROBE = "REINDEX_SEARCH_PROBE"
    SECRET_KEYS = "REINDEX_SECRET_KEYS"  # noqa: S105 - a name
    WEBHOOK_ALLOW = "REINDEX_WEBHOOK_ALLOW"


class RoutePath(StrEnum):
    """A path, and the method where a message says it."""

    BATCHES = "/api/v1/batches"
    STOP = "POST /api/v1/pace/stop"
    READY = "/readyz"


class Command(StrEnum):
    """Of the command line, without its arguments."""

    ADOPT = "reindex-queue adopt"
    CANCEL = "reindex-queue cancel"
    GO_ON = "reindex-queue pace go-on"
    NEW_KEY = "reindex-queue keys new"
