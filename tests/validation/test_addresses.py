"""Which addresses are public, and how the allow list is read."""

import pytest

from validation_image.addresses import AddressRule

PUBLIC = ["8.8.8.8", "1.1.1.1", "140.82.112.3", "2606:4700::1111", "2a00:1450:4001::200e"]

NOT_PUBLIC = {
    "this network": "0.0.0.0 0.1.2.3 ::",
    "loopback": "127.0.0.1 127.255.255.254 ::1",
    "private": "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fd12:3456::1",
    "shared by carriers": "100.64.0.1 100.127.255.255",
    "link-local, where clouds keep credentials": "169.254.169.254 169.254.170.2 fe80::1 fe80::1%eth0",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
    "reserved": "240.0.0.1 255.255.255.255 5f00::1 4000::1",
    "documentation": "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1",
    "benchmarks and protocols": "198.18.0.1 192.0.0.8 192.0.0.171 100::1",
    "IPv4 inside IPv6": "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1::",
    "tunnels": "2001::1 2001:0:53aa:64c:0:0:80ff:fffe 192.88.99.1",
    "site-local": "fec0::1",
    "no address": "localhost 127.1 2130706433 1.2.3 x",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressRule().allows("anything.example", address)


@pytest.mark.parametrize(
    "address", [address for addresses in NOT_PUBLIC.values() for address in addresses.split()]
)
def test_no_other_address_is(address: str) -> None:
    assert not AddressRule().allows("anything.example", address)


def test_a_network_is_allowed_for_every_host() -> None:
    rule = AddressRule.read(["10.1.0.0/16", "fd00::/8", "192.168.1.1"])
    assert all(rule.allows("any.example", a) for a in ("10.1.2.3", "fd00::1", "192.168.1.1"))
    assert not any(rule.allows("any.example", a) for a in ("10.2.0.1", "fe80::1", "192.168.1.2"))


def test_a_host_is_allowed_by_its_own_name_only() -> None:
    rule = AddressRule.read(["Git.Internal."])
    assert rule.allows("git.internal", "10.0.0.1")
    assert not rule.allows("evil.git.internal", "10.0.0.1")
    assert not rule.allows("git.internal.evil", "10.0.0.1")


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/33", "10.0.0.1/8", "fd00::/8/8", "host:443", "https://host", ".", ""]
)
def test_an_entry_that_is_neither_is_refused(entry: str) -> None:
    with pytest.raises(ValueError):
        AddressRule.read([entry])
