"""Which addresses the guard lets a connection go to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.outbound.addresses import DENIED, AllowList, is_public


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:0:7f00:1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_of_the_inside_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_a_private_address_stays_private_however_ipv6_wraps_it(inner: IPv4Address) -> None:
    number = int(inner)
    wrappings = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x64FF9B << 96) | number),
    ]
    assert {is_public(one) for one in wrappings} == {is_public(inner)}


@given(st.sampled_from(DENIED), st.data())
def test_nothing_in_the_deny_table_is_public(network, data) -> None:
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    assert not is_public(network[offset])


def test_a_network_of_the_allow_list_lets_its_addresses_through() -> None:
    allow = AllowList.parse(["10.1.0.0/16", "127.0.0.1", "fd00::/8"])
    assert allow.lets_through(ip_address("10.1.2.3"))
    assert allow.lets_through(ip_address("127.0.0.1"))
    assert allow.lets_through(ip_address("::ffff:127.0.0.1"))
    assert allow.lets_through(ip_address("fd12::1"))
    assert not allow.lets_through(ip_address("10.2.0.1"))
    assert not allow.lets_through(ip_address("127.0.0.2"))


def test_a_host_of_the_allow_list_is_matched_by_its_name_alone() -> None:
    allow = AllowList.parse(["Jira.internal.", " "])
    assert allow.names("jira.internal")
    assert allow.names("JIRA.internal.")
    assert not allow.names("evil.jira.internal")
    assert not allow.names("")


@pytest.mark.parametrize("entry", ["https://x", "10.0.0.0/99", "host:80", "*.example.com", "a b"])
def test_an_entry_that_is_neither_host_nor_network_is_refused(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="OUTBOUND_ALLOW"):
        AllowList.parse([entry])
