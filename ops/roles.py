"""`python -m ops.roles FOLDER`: writes the roles of the service's own user, each as the body of
`PUT /_security/role/…`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from app.domain.rights import RIGHTS, on_elastic_cloud, role

ROLES = {"role.json": RIGHTS, "role-elastic-cloud.json": on_elastic_cloud()}


def rendered(name: str) -> str:
    """The text of that file."""
    return json.dumps(role(ROLES[name]), indent=2) + "\n"


if __name__ == "__main__":
    for name in ROLES:
        Path(sys.argv[1], name).write_text(rendered(name))
