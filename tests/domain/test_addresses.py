"""Lists of allowed addresses: one grammar, and every spelling of an address judged by its parts."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.domain.addresses import AllowList, Endpoint
from app.domain.errors import AddressNotAllowed, InvalidAddress


def allows(text: str, url: str, *addresses: str) -> bool:
    """Whether a list allows the URL, whose host has these addresses."""
    allowed, endpoint = AllowList.parse(text), Endpoint.parse(url)
    try:
        allowed.check(endpoint)
        allowed.check_addresses(endpoint, [ip_address(address) for address in addresses])
    except AddressNotAllowed:
        return False
    return True


PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    ("url", "shown", "port", "target"),
    [
        ("https://hooks.example/a?b=c", "hooks.example", 443, "/a?b=c"),
        ("https://HOOKS.Example./", "hooks.example", 443, "/"),
        ("HTTPS://hooks.example:8443", "hooks.example:8443", 8443, "/"),
        ("http://hooks.example?x", "hooks.example", 80, "/?x"),
        ("https://hooks.example:443/%7Ea/../b", "hooks.example", 443, "/%7Ea/../b"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "localhost", 443, "/"),
        ("https://hooks。example/", "hooks.example", 443, "/"),
        ("https://127.0.0.1./", "127.0.0.1", 443, "/"),
        ("https://[::1]:9/", "[::1]:9", 9, "/"),
        ("https://[0:0:0:0:0:FFFF:7f00:1]/", "[::ffff:127.0.0.1]", 443, "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, shown: str, port: int, target: str) -> None:
    endpoint = Endpoint.parse(url)
    expected = shown.replace("::ffff:127.0.0.1", str(ip_address("::ffff:127.0.0.1")))
    assert (endpoint.authority, endpoint.port, endpoint.target) == (expected, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "//hooks.example/",
        "ftp://hooks.example/",
        "https:///path",
        "https://",
        "https://user@hooks.example/",
        "https://user:word@hooks.example/",
        "https://@hooks.example/",
        "https://hooks.example@127.0.0.1/",
        "https://hooks.example\\@127.0.0.1/",
        "https://hooks.example/#part",
        "https://hooks.example:/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:x/",
        "https://hooks..example/",
        "https://.example/",
        "https://-a.example/",
        "https://hooks.example%00.evil/",
        "https://hooks.exa\tmple/",
        "https://hooks.example/a b",
        "https://hooks.example/ü",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.0x1/",
        "https://127.0.0.1.5/",
        "https://1.2.3.256/",
        "https://\uff11\uff12\uff17.1/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1%1]/",
        "https://[127.0.0.1]/",
        "https://" + "a" * 64 + ".example/",
        "https://hooks.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        Endpoint.parse(url)
    assert "example/" not in caught.value.message.replace("https://hooks.example/path", "")


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        ("", "https://hooks.example/", False),
        ("hooks.example", "https://hooks.example/", True),
        ("HOOKS.example.", "https://hooks.EXAMPLE./", True),
        ("hooks.example", "https://a.hooks.example/", False),
        ("hooks.example", "https://hooks.example.evil/", False),
        ("hooks.example", "http://hooks.example/", False),
        ("http://hooks.example", "http://hooks.example/", True),
        ("http://hooks.example", "https://hooks.example/", False),
        ("*", "https://a.b/", True),
        ("*.example", "https://hooks.example/", True),
        ("*.example", "https://a.b.example/", True),
        ("*.example", "https://example/", False),
        ("*.example", "https://example.evil/", False),
        ("hooks-*.example", "https://hooks-1.example/", True),
        ("hooks-*.example", "https://hooks-1.evil.example/", False),
        ("hooks.*", "https://hooks.example/", True),
        ("hooks.*", "https://hooks.evil.example/", False),
        ("h.oks.example", "https://hooks.example/", False),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("hooks.example:443", "https://hooks.example/", True),
        ("hooks.example:443", "https://hooks.example:8443/", False),
        ("hooks.example:8000-8443+9000", "https://hooks.example:8443/", True),
        ("hooks.example:8000-8443+9000", "https://hooks.example:9000/", True),
        ("hooks.example:8000-8443+9000", "https://hooks.example:8999/", False),
        ("other.example, hooks.example", "https://hooks.example/", True),
    ],
)
def test_a_name_is_allowed_by_name_scheme_and_port(text: str, url: str, expected: bool) -> None:
    assert allows(text, url, PUBLIC) is expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.5",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "::1",
        "::7f00:1",
        "fd00::1",
        "fec0::1",
        "::ffff:10.0.0.5",
        "64:ff9b::10.0.0.5",
        "2002:0a00:0005::1",
        "2001:db8::1",
    ],
)
def test_a_name_alone_does_not_allow_what_is_not_public(address: str) -> None:
    url = "https://hooks.example/"
    assert not allows("*, hooks.example", url, address)
    assert not allows("*", url, PUBLIC, address)
    written = f"[{address}]" if ":" in address else address
    assert not allows("*", f"https://{written}/")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.0/8", "10.9.9.9"),
        ("10.0.0.5", "::ffff:10.0.0.5"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]:443", "::1"),
        ("fd00::/8", "fd12::1"),
        ("[fd00::/8]:400-500", "fd12::1"),
        ("93.184.215.0/24", PUBLIC),
        ("0.0.0.0/0, ::/0", "fd12::1"),
    ],
)
def test_a_network_allows_its_addresses_and_names_that_lead_there(text: str, address: str) -> None:
    written = f"[{address}]" if ":" in address else address
    assert allows(text, f"https://{written}/")
    assert allows(text, "https://hooks.example/", address)
    assert not allows(text, f"https://{written}:8443/") or ":4" not in text
    assert not allows(text, f"http://{written}/")


def test_every_address_of_a_name_must_be_allowed() -> None:
    assert allows("10.0.0.0/8", "https://hooks.example/", "10.0.0.1", "10.0.0.2")
    assert not allows("10.0.0.0/8", "https://hooks.example/", "10.0.0.1", "11.0.0.2")
    assert allows("hooks.example, 10.0.0.0/8", "https://hooks.example/", "10.0.0.1", PUBLIC)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "100.100.100.200",
        "168.63.129.16",
    ],
)
def test_no_list_allows_link_local_addresses_and_those_of_metadata(address: str) -> None:
    everything = "*, http://*, 0.0.0.0/0, ::/0, fd00::/8, 64:ff9b::/96, 2002::/16"
    written = f"[{address}]" if ":" in address else address
    assert not allows(everything, f"https://{written}/")
    assert not allows(everything, "https://hooks.example/", address)


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example/path",
        "ftp://hooks.example",
        "user@hooks.example",
        "hooks.example:",
        "hooks.example:x",
        "hooks.example:0",
        "hooks.example:65536",
        "hooks.example:90-80",
        "hooks.example:80+",
        "hooks..example",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1",
        "::1%eth0",
        "169.254.169.254",
        "169.254.0.0/24",
        "fe80::/64",
        "hooks .example",
    ],
)
def test_an_entry_that_means_nothing_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        AllowList.parse(f"fine.example, {text}")
    assert caught.value.message.startswith(repr(text))


def test_what_is_refused_says_why() -> None:
    endpoint = Endpoint.parse("https://hooks.example/secret")
    for text, address, why in (
        ("", PUBLIC, "hooks.example is not allowed: the list of what is allowed is empty."),
        (
            "other.example",
            PUBLIC,
            "hooks.example is not in the list of what is allowed (with https",
        ),
        ("*", "127.0.0.1", "hooks.example leads to 127.0.0.1, which is not public."),
        ("*", "169.254.169.254", "leads to 169.254.169.254, which is never allowed"),
        ("10.0.0.0/8", PUBLIC, f"hooks.example, which leads to {PUBLIC}, is not in the list"),
    ):
        allowed = AllowList.parse(text)
        said = refusal(allowed, endpoint, address)
        assert why in said
        assert "secret" not in said


def refusal(allowed: AllowList, endpoint: Endpoint, address: str) -> str:
    try:
        allowed.check(endpoint)
        allowed.check_addresses(endpoint, [ip_address(address)])
    except AddressNotAllowed as error:
        return error.message
    return ""
