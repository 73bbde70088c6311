"""The gateway's authority and leaves, checked with OpenSSL's own verification over a real TLS handshake."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from gateway.authority import OVERLAP, RENEW_AFTER, Authorities, renewed
from gateway.certificates import LEAF_LIFETIME, Authority, Leaf, issue_leaf, load_authority, new_authority

NOW = datetime.now(UTC)
KEY = bytes(32)
NAME = "qiskit-operator-gateway"


def handshake(leaf: Leaf, trusted: str, server_name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Shake hands in memory; raises what a client would raise."""
    folder = tmp_path_factory.mktemp("leaf")
    (folder / "crt").write_text(leaf.certificate_pem)
    (folder / "key").write_text(leaf.key_pem)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(folder / "crt", folder / "key")
    client_context = ssl.create_default_context(cadata=trusted)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=server_name)
    pending = [client, server]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not pending:
            return
    raise AssertionError("the handshake did not end")


def test_an_executor_that_trusts_the_bundle_accepts_the_leaf(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    authority = new_authority(NOW)
    handshake(issue_leaf(authority, NAME, NOW), authority.pem, NAME, tmp_path_factory)


def test_a_leaf_of_another_authority_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    leaf = issue_leaf(new_authority(NOW), NAME, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(leaf, new_authority(NOW).pem, NAME, tmp_path_factory)


def test_a_leaf_for_another_name_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = new_authority(NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(issue_leaf(authority, "somebody-else", NOW), authority.pem, NAME, tmp_path_factory)


def test_an_authority_survives_its_way_through_the_secret() -> None:
    authority = new_authority(NOW)
    again = load_authority(authority.pem, authority.key_pem)
    assert again.certificate == authority.certificate
    with pytest.raises(ValueError, match="does not belong"):
        load_authority(authority.pem, new_authority(NOW).key_pem)


def test_a_leaf_never_outlives_its_authority() -> None:
    authority = new_authority(NOW)
    late = authority.certificate.not_valid_after_utc - timedelta(days=1)
    assert issue_leaf(authority, NAME, late).not_after == authority.certificate.not_valid_after_utc
    assert issue_leaf(authority, NAME, NOW).not_after == NOW + LEAF_LIFETIME


def test_a_new_authority_is_trusted_long_before_it_signs(tmp_path_factory: pytest.TempPathFactory) -> None:
    first = Authorities(new_authority(NOW), KEY)
    assert renewed(first, NOW) is first

    due = NOW + RENEW_AFTER + timedelta(days=1)
    both = renewed(first, due)
    assert both.successor is not None
    assert both.trust.signer is first.current
    assert _certificates(both.trust.bundle_pem) == {_serial(first.current), _serial(both.successor)}
    assert renewed(both, due) is both

    later = due + OVERLAP + timedelta(days=1)
    taken_over = renewed(both, later)
    assert taken_over == Authorities(both.successor, KEY)
    # A pod that was created while the successor only waited trusts the leaf that it meets now.
    assert _serial(taken_over.trust.signer) in _certificates(both.trust.bundle_pem)


def _serial(authority: Authority) -> int:
    return authority.certificate.serial_number


def _certificates(bundle: str) -> set[int]:
    from cryptography import x509

    return {c.serial_number for c in x509.load_pem_x509_certificates(bundle.encode())}
