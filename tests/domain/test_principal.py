"""Roles: each may what the one before may."""

from __future__ import annotations

from itertools import product

import pytest

from app.domain.errors import RoleMissing
from app.domain.principal import Principal, Role

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
