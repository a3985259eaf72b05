"""`…/pace` under `/api/v1`: what is set, what is in force, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled

NIGHT = {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin", "days": None}
NEVER_WITH = [
    {"from": "01:00", "to": "02:00", "zone": "UTC"},
    {"from": "03:00", "to": "04:00", "zone": "UTC"},
]
JSON = {"content-type": "application/json"}


async def sent(service: Service, method: str, path: str = "", body: Any = None) -> httpx.Response:
    return await service.client.request(method, f"/api/v1{path}/pace", json=body)


async def pace(service: Service, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
    answer = await sent(service, method, path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def a_waiting_one(service: Service, es: Elastic, **options: Any) -> tuple[str, str]:
    """The ids of an operation that is not begun, and of its batch; everything is stopped."""
    await service.client.post("/api/v1/pace/stop")
    filled(es, "waits", 1)
    posted = await service.post_options({"index": "waits"}, **options)
    return posted["operations"][0]["id"], posted["id"]


async def test_the_settings_hold_until_something_is_set_and_again_when_it_is_forgotten(
    elasticsearch_url: str, database_url: str
) -> None:
    settings = {"reindex_requests_per_second": 900.0, "reindex_windows_in_flight": 4}
    async with (
        running_service(elasticsearch_url, database_url, **settings) as service,
        running_service(elasticsearch_url, database_url, **settings) as another,
    ):
        found = await pace(service, "GET")
        assert (found["stored"], found["requestsPerSecond"], found["windowsInFlight"]) == (
            False,
            900.0,
            4,
        )
        changed = await pace(service, "PATCH", body={"windowsInFlight": 2})
        assert (changed["stored"], changed["inForce"]["windowsInFlight"]) == (True, 2)
        assert changed["requestsPerSecond"] == 900.0
        assert changed["inForce"]["reason"] == (
            "at most 900 documents a second (service), 2 windows at once (service)"
        )
        assert await pace(another, "GET") == changed
        free = await pace(another, "PUT", body={"hours": [NIGHT]})
        assert (free["requestsPerSecond"], free["windowsInFlight"]) == (None, 4)
        assert free["hours"] == [NIGHT]
        assert free["inForce"]["until"]
        assert await pace(service, "DELETE") == found
        events = [e for e in await service.parts.store.events.after(0) if e.what == "pace changed"]
        assert [e.before["windows_in_flight"] for e in events] == [4, 2, None]
        assert {e.who for e in events} == {"api:127.0.0.1"}


async def test_batches_and_operations_have_one_of_their_own(service: Service, es: Elastic) -> None:
    operation, batch = await a_waiting_one(service, es, pace={"requestsPerSecond": 700})
    own = await pace(service, "PUT", f"/operations/{operation}", {"windowsInFlight": 1})
    assert own["scope"] == "operation"
    assert (own["requestsPerSecond"], own["windowsInFlight"]) == (None, 1)
    assert (await pace(service, "GET", f"/batches/{batch}"))["requestsPerSecond"] == 700
    await service.client.post("/api/v1/pace/go-on")
    await service.completed("waits")
    assert (await service.shown(operation))["pace"] is None
    for method in ("PUT", "PATCH"):
        late = await sent(service, method, f"/operations/{operation}", {"windowsInFlight": 2})
        check_envelope(late, 409, "has ended")


async def test_the_limit_of_a_waiting_operation_is_shown_with_its_reason(
    service: Service, es: Elastic
) -> None:
    operation, batch = await a_waiting_one(service, es)
    await pace(service, "PUT", f"/batches/{batch}", {"requestsPerSecond": 700})
    await pace(service, "PUT", f"/operations/{operation}", {"windowsInFlight": 1})
    shown = (await service.shown(operation))["pace"]
    assert (shown["requestsPerSecond"], shown["windowsInFlight"]) == (700.0, 1)
    assert shown["closed"] is True
    assert "stopped by api:127.0.0.1" in shown["reason"]
    listed = (await service.client.get("/api/v1/operations")).json()["operations"]
    assert [one["pace"] for one in listed] == [shown]
    worker = (await service.client.get("/api/v1/worker")).json()
    assert worker["pace"]["closed"] is True
    assert worker["waitsFor"] == worker["pace"]["reason"] == shown["reason"]
    doctor = (await service.client.get("/api/v1/doctor")).json()
    (queue,) = (check for check in doctor["checks"] if check["name"] == "queue")
    assert (queue["verdict"], doctor["healthy"]) == ("warning", True)
    assert "stopped by api:127.0.0.1" in queue["finding"]
    assert "reindex-queue pace go-on" in queue["remedy"]
    assert (await service.client.post(f"/api/v1/operations/{operation}/cancel")).status_code == 200
    assert (await service.shown(operation))["state"] == "cancelled"


@pytest.mark.parametrize("path", ["/batches/nothing", "/operations/nothing"])
async def test_what_is_not_there_has_no_pace(service: Service, path: str) -> None:
    for method in ("GET", "PUT", "PATCH"):
        body = None if method == "GET" else dict[str, Any]()
        check_envelope(await sent(service, method, path, body), 404, "nothing")


async def test_what_cannot_be_is_refused_and_changes_nothing(service: Service, es: Elastic) -> None:
    operation, batch = await a_waiting_one(service, es)
    places = ["", f"/batches/{batch}", f"/operations/{operation}"]
    bad: list[tuple[str, str]] = [
        *((f'{{"requestsPerSecond": {rate}}}', "requestsPerSecond") for rate in RATES),
        *((f'{{"windowsInFlight": {number}}}', "windowsInFlight") for number in NUMBERS),
        ('{"hours": []}', "hours"),
        (hours(to="22:00"), "never open"),
        (hours(days="[]"), "never open"),
        (hours(to="6"), "to"),
        (hours(to="24:30"), "not a time of day"),
        (hours(zone="Mars/Olympus"), "time zone"),
        (hours(zone="../../etc/passwd"), "time zone"),
        (hours(days='["someday"]'), "days"),
        ('{"speed": 5}', "definition for this key is missing"),
        ("[]", "object"),
        ("{", "JSON"),
    ]
    for place in places:
        before = await pace(service, "GET", place)
        for body, said in bad:
            for method in ("PUT", "PATCH"):
                answer = await service.client.request(
                    method, f"/api/v1{place}/pace", content=body, headers=JSON
                )
                check_envelope(answer, 400, said)
        assert await pace(service, "GET", place) == before
    refused = {"indices": [{"index": "waits"}], "pace": {"hours": [{**NIGHT, "to": "22:00"}]}}
    check_envelope(await service.client.post("/api/v1/batches", json=refused), 400, "never open")
    answer = await service.client.post("/api/v1/pace/stop", json={"reason": 5})
    check_envelope(answer, 400, "reason")


RATES = ("0", "-1", "NaN", "Infinity", "-Infinity", "1e400", "0.01", '"500"', "true", "[]", "1e9")
NUMBERS = ("0", "-1", "51", "1.5", '"2"', "true", "NaN")


def hours(to: str = "06:00", zone: str = "UTC", days: str = "null") -> str:
    return f'{{"hours": [{{"from": "22:00", "to": "{to}", "zone": "{zone}", "days": {days}}}]}}'


async def test_hours_that_never_open_together_are_refused(service: Service, es: Elastic) -> None:
    operation, batch = await a_waiting_one(service, es)
    await pace(service, "PUT", "", {"hours": NEVER_WITH[:1]})
    for place in (f"/batches/{batch}", f"/operations/{operation}"):
        refused = await sent(service, "PUT", place, {"hours": NEVER_WITH[1:]})
        check_envelope(refused, 400, "never open together")
        await pace(service, "PUT", place, {"hours": NEVER_WITH})
    new = {"indices": [{"index": "new"}], "pace": {"hours": NEVER_WITH[1:]}}
    refused = await service.client.post("/api/v1/batches", json=new)
    check_envelope(refused, 400, "never open together")
    closed = (await service.shown(operation))["pace"]
    assert closed["closed"] is True
