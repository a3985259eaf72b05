"""Document- and field-level security of our own user: what it does not see would be lost."""

from __future__ import annotations

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.upgrades.midway import POLL, filled
from tests.upgrades.portrait import as_found, contents
from tests.upgrades.security.logins import TASKS, WORD, Login, all_on, failed


async def test_a_user_who_sees_only_a_part_of_the_index_is_refused_before_the_write_block(
    login: Login, es: Elastic
) -> None:
    """Each of them holds all privileges by `_has_privileges`."""
    filled(es, "partial", 5)
    before = as_found(es, "partial")
    some = {"query": {"range": {"n": {"lt": 3}}}}
    login.may("documents", all_on("*", **some), TASKS, cluster=("manage", "manage_own_api_key"))
    login.may(
        "fields",
        all_on("partial", field_security={"grant": ["other"]}),
        all_on("re*", ".rq-*"),
        TASKS,
    )
    login.may("target", all_on("re*", **some), all_on("partial", ".rq-*"), TASKS)
    login.may("whole", all_on("*"), TASKS, cluster=("all",))
    of_fields = {
        "r": {"cluster": ["manage"], "index": [all_on("*", field_security={"grant": ["x"]}), TASKS]}
    }
    of_all = {"r": {"cluster": ["manage"], "index": [all_on("*"), TASKS]}}
    logins = [
        login.as_user("documents"),
        login.as_user("fields"),
        login.as_user("target"),
        login.with_key(login.key_of("whole", role_descriptors=of_fields)),
        login.with_key(login.key_of("documents")),
        login.with_key(login.key_of("documents", role_descriptors=of_all)),
    ]
    for each in logins:
        async with each as service:
            assert (await service.post_batch("partial"))["errors"] == []
            await failed(service, "partial", "sees only a part of", "field-level security")
        assert as_found(es, "partial") == before
        assert "reindexed-v8-partial" not in es.indices()
    es.put("/partial/_doc/new", {"n": 1})


async def test_fields_hidden_since_the_start_fail_it_with_the_source_there(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "veiled", 5)
    before = as_found(es, "veiled")
    login.may("veiled", all_on("*"), TASKS)
    released = relay.hold("GET", POLL)
    async with login.as_user("veiled") as service:
        await service.post_batch("veiled")
        await relay.wait_for("GET", POLL)
        hidden = all_on("veiled", field_security={"grant": ["other"]})
        login.may("veiled", hidden, all_on("re*", ".rq-*"), TASKS)
        released.set()
        await service.holds("veiled", "security_exception")  # it may not put its marker on
        login.may("veiled", all_on("*"), TASKS)
        operation = await service.ended("veiled")
    assert operation["status"] == 2
    assert "sees only a part of veiled" in operation["errorMessage"]
    assert as_found(es, "veiled") == before


async def test_a_restricted_role_beside_an_unrestricted_one_restricts_nothing(
    login: Login, es: Elastic
) -> None:
    filled(es, "mixed", 5)
    documents = contents(es, "mixed")
    login.may("narrow", all_on("*", query={"match_none": {}}), TASKS)
    login.may("wide", all_on("*"), TASKS)
    es.put("/_security/user/wide", {"password": WORD, "roles": ["narrow", "wide"]})
    async with login.as_user("wide") as service:
        await service.post_batch("mixed")
        await service.completed("mixed")
    assert contents(es, "mixed") == documents
