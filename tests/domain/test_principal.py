"""Roles: each may what the one before may."""

from __future__ import annotations

from itertools import product

import pytest

from app.domain.errors import ClusterOutOfReach, LimitedCaller, RoleMissing
from app.domain.principal import Principal, Role
from app.domain.reach import Reach

ORDER = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]


@pytest.mark.parametrize(("has", "needed"), list(product(ORDER, ORDER)))
def test_a_role_includes_those_before_it(has: Role, needed: Role) -> None:
    caller = Principal("api:eve@127.0.0.1", has)
    if ORDER.index(has) >= ORDER.index(needed):
        caller.require(needed)
    else:
        with pytest.raises(RoleMissing, match=f"has the role {has}, and this needs .* {needed}"):
            caller.require(needed)


def test_credentials_are_not_shown() -> None:
    assert "s3cret" not in repr(Principal("eve", Role.VIEWER, credentials="ApiKey s3cret"))


def test_who_is_for_some_clusters_works_on_no_other() -> None:
    for clusters in (None, frozenset({"one", "two"})):
        Principal("token:ci", Role.ADMIN, clusters).require_cluster("one")
    with pytest.raises(ClusterOutOfReach, match="token:ci may not work on the cluster three"):
        Principal("token:ci", Role.ADMIN, frozenset({"one"})).require_cluster("three")


def test_what_concerns_everything_takes_somebody_without_limits() -> None:
    free = Principal("api:ops@127.0.0.1", Role.ADMIN)
    free.require_everything()
    some_indices = Principal("token:ci", Role.ADMIN, reach=Reach(("logs-*",)))
    some_clusters = Principal("token:ci", Role.ADMIN, frozenset({"one"}))
    for caller, what in ((some_indices, "indices"), (some_clusters, "clusters")):
        with pytest.raises(LimitedCaller, match=f"limited to some {what}"):
            caller.require_everything()
    some_clusters.require_all_indices()
    with pytest.raises(LimitedCaller):
        some_indices.require_all_indices()
