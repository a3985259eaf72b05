"""Which privileges it takes to see the mark of a database, and to leave it (8.19)."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from app.domain.errors import ClusterForbids
from app.domain.ownership import Mark
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from testbed.relay import Relay
from tests.upgrades.security.logins import WORD, Login

MARK = Mark(instance="a", term=1, writer="v")


@pytest.mark.parametrize(
    ("cluster", "sees", "leaves"),
    [(("monitor",), True, False), ((), False, False), (("manage",), True, True)],
)
async def test_to_see_the_mark_takes_monitor_and_to_leave_it_manage(
    login: Login, relay: Relay, cluster: tuple[str, ...], sees: bool, leaves: bool
) -> None:
    user = f"marks-{'-'.join(cluster) or 'none'}"
    login.may(user, cluster=cluster)
    connection = Connection([relay.url], Credentials(username=user, password=WORD))
    marks = Cluster.for_worker(connection, lambda: None).marks
    assert await allowed(marks.leave("one", MARK)) is leaves
    assert await allowed(marks.seen("one")) is sees
    await connection.close()


async def test_a_user_who_may_not_leave_it_is_told_by_the_doctor_alone(login: Login) -> None:
    login.may("no-marks", cluster=("monitor",))
    # under a name of its own: a new database leaves no mark where another one has left one
    async with login.as_user("no-marks", reindex_cluster_id="no-marks") as service:
        await service.parts.ownership.first_look(30)
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        (check,) = [check for check in checks if check["name"] == "mark"]
        assert check["verdict"] == "warning"
        assert "cluster:admin/settings/update" in check["remedy"]
        assert service.parts.worker.report.alive
        assert (await service.client.get("/readyz")).json()["worker"]["error"] is None


async def allowed(asked: Awaitable[object]) -> bool:
    try:
        await asked
    except ClusterForbids:
        return False
    return True
