"""The doctor says how the keys for stored secrets are, where some are set."""

from __future__ import annotations

from typing import Any

import httpx

from app.main import create_app
from app.settings import Settings
from tests.secrets_used import used

NOWHERE = "http://127.0.0.1:9"
KEY = "9X4oGkQm1uWlYbN0aZ3vTqJ5rE7sHc2dPf8iLx6yB0A="


async def checks(database_url: str, **given: Any) -> dict[str, Any]:
    """What the doctor finds without Elasticsearch, by name; and that the rest works."""
    made: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": database_url}
    used.of_settings(given)
    app = create_app(Settings(**made, **given))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            assert (await client.get("/api/v1/operations")).status_code == 200
            found = (await client.get("/api/v1/doctor")).json()["checks"]
    return {check["name"]: check for check in found}


async def test_nothing_is_said_of_keys_where_none_is_set(sqlite_url: str) -> None:
    assert "secret keys" not in await checks(sqlite_url)


async def test_a_key_is_well_and_what_is_no_key_is_wrong_and_not_shown(sqlite_url: str) -> None:
    well = await checks(sqlite_url, reindex_secret_keys=KEY)
    assert well["secret keys"]["verdict"] == "ok"
    wrong = await checks(sqlite_url, reindex_secret_keys=f"{KEY},hunter2-of-keys")
    assert wrong["secret keys"]["verdict"] == "wrong"
    assert "number 2 of 2" in wrong["secret keys"]["finding"]
    assert "hunter2-of-keys" not in str(wrong)
    assert wrong["database"]["verdict"] == "ok"
