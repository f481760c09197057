"""Which addresses may be connected to: public ones, and those that the operator allows.

Judged is always a resolved address, never its spelling: `127.1`, `0x7f.1` and `2130706433` are all
127.0.0.1 by then. `ipaddress.is_global` alone says yes to 127.0.0.1 behind NAT64 and 6to4, to
multicast and more, and changes between patch releases of Python: so addresses are unwrapped first,
and a table of our own stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from engine.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        # IANA's special-purpose registry for IPv4, whole.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Azure's host services: a public address that answers from inside only.
        "168.63.129.16/32",
        # Inside 2000::/3, outside the Internet: protocol assignments, documentation.
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned to the Internet (RFC 4291); everything else is local or reserved."""

NAT64 = IPv6Network("64:ff9b::/96")
SIIT = IPv6Network("::ffff:0:0:0/96")
COMPATIBLE = IPv6Network("::/96")
"""Prefixes whose last 32 bits are an IPv4 address (RFC 6052, RFC 7915, RFC 4291)."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the operator allows: `hosts` by the URL's own spelling, `networks` by the address."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> AllowList:
        """Read OUTBOUND_ALLOW: names, addresses and CIDRs. ConfigurationError names a bad entry."""
        hosts, networks = set(), []
        for entry in (text.strip() for text in entries):
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif entry:
                hosts.add(_host(entry))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Whether the operator named this very host."""
        return host.lower().rstrip(".") in self.hosts

    def holds(self, address: Address) -> bool:
        """Whether a network of the list holds the address, or the one that it wraps."""
        meant = (address, *wrapped(address))
        return any(one in network for one in meant for network in self.networks)

    def lets_through(self, address: Address) -> bool:
        """Whether a connection to the address is allowed: public, or in the list."""
        return is_public(address) or self.holds(address)


def is_public(address: Address) -> bool:
    """Whether the address, and every address that it wraps, belongs to the open Internet."""
    inner = wrapped(address)
    if inner:
        return all(is_public(one) for one in inner)
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in net for net in DENIED)


def wrapped(address: Address) -> Sequence[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address stands for; none for an ordinary one."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if any(address in prefix for prefix in (NAT64, SIIT, COMPATIBLE)):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def parse_address(text: str) -> Address:
    """Read an address as the resolver gives it; the zone of a link-local one does not matter."""
    return ip_address(text.partition("%")[0])


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _host(entry: str) -> str:
    if any(char in entry for char in "/:@*? "):
        raise ConfigurationError(
            f"OUTBOUND_ALLOW holds {entry!r}",
            "an entry is a host name, an address or a network",
            "Write hosts like api.example.com and networks like 10.1.0.0/16",
        )
    return entry.lower().rstrip(".")
