"""Pages of other addresses change nothing, whatever browser sends it."""

from __future__ import annotations

import pytest

from tests.service import BASE, Service, running_service

STOP = "/api/v1/pace/stop"


@pytest.mark.parametrize(
    ("headers", "settings", "status"),
    [
        ({}, {}, 200),
        ({"sec-fetch-site": "none"}, {}, 200),
        ({"host": "localhost:5602", "origin": "http://localhost:5602"}, {}, 200),
        ({"host": "[::1]:5602", "origin": "http://[::1]:5602"}, {}, 200),
        ({"sec-fetch-site": "cross-site"}, {}, 403),
        ({"host": "localhost:5602", "origin": "https://evil.example"}, {}, 403),
        ({"host": "localhost:5602", "origin": "null"}, {}, 403),
        ({"host": "localhost:5602", "origin": "http://["}, {}, 403),
        ({"host": "evil.example:5602", "origin": "http://evil.example:5602"}, {}, 403),
        ({"host": "inside:5602", "origin": "http://inside:5602"}, {"server_host": "inside"}, 200),
        (
            {"host": "127.0.0.1:5602", "origin": "https://reindex.example"},
            {"server_publicbaseurl": "https://Reindex.example/kibana"},
            200,
        ),
        (
            {"host": "any.example", "origin": "https://any.example"},
            {"server_username": "ops", "server_password": "p-of-ops-61"},
            200,
        ),
        (
            {"host": "any.example", "origin": "https://evil.example"},
            {"server_username": "ops", "server_password": "p-of-ops-61"},
            403,
        ),
    ],
)
async def test_a_change_comes_from_a_program_or_from_a_page_of_our_own(
    elasticsearch_url: str,
    sqlite_url: str,
    headers: dict[str, str],
    settings: dict[str, str],
    status: int,
) -> None:
    async with running_service(elasticsearch_url, sqlite_url, **settings) as service:
        if settings.get("server_username"):
            service.client.auth = ("ops", "p-of-ops-61")
        answer = await service.client.post(STOP, headers=headers)
        assert answer.status_code == status, answer.text
        stopped = (await service.client.get("/api/v1/pace")).json()["stopped"]
        assert bool(stopped) is (status == 200)
    if status == 403:
        assert "SERVER_PUBLICBASEURL" in answer.json()["message"]


async def test_pages_of_others_may_ask_but_not_read_the_answer(service: Service) -> None:
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await service.client.get(f"{BASE}/batch/queue", headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
