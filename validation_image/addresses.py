"""Which addresses a source may be fetched from: public ones, and what the operator has named.

The rule is asked for the address of every single connection attempt, at the moment the socket for it is made,
so that the address checked is the address connected to whatever the name resolved to before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that is allotted for global use. Mapped, compatible, translated (NAT64) and local addresses lie outside."""

_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # the old 6to4 relay
        "2001::/23",  # Teredo and other tunnels that carry an IPv4 address
        "2002::/16",  # 6to4, likewise
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
"""What Python's `is_global` lets through, in one release or another."""


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Public addresses are allowed. So is any address of a host in `hosts`, and any address in `networks`."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def read(cls, entries: Iterable[str]) -> AddressRule:
        """From host names, addresses and CIDRs. Raises ValueError for an entry that is none of them."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                if "/" in entry or ":" in entry or not entry.strip(". "):
                    raise ValueError(f"{entry!r} is neither a host name nor a CIDR") from None
                hosts.add(_canonical(entry))
        return cls(frozenset(hosts), tuple(networks))

    def allows(self, host: str, address: str) -> bool:
        """Whether a connection to `address`, which `host` resolved to, may be opened."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return _canonical(host) in self.hosts or any(ip in n for n in self.networks) or is_public(ip)


PUBLIC_ONLY = AddressRule()


def is_public(ip: Address) -> bool:
    """Whether the address is one of the open internet."""
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _PUBLIC_IPV6:
        return False
    if any(ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _canonical(host: str) -> str:
    return host.lower().rstrip(".")
