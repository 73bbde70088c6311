"""X.509 for the gateway: an authority that lives for years, leaves that live for days. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=30)
"""Short, because renewing a leaf costs nothing: it is made in the process that serves it."""

CLOCK_SKEW = timedelta(minutes=10)
"""Certificates are valid from a little before now, for nodes whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A self-signed certificate authority and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate as PEM text, as executors are given it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def key_pem(self) -> str:
        """The private key as PKCS#8 PEM text. It never leaves the Secret and the operator's memory."""
        return _key_pem(self.key)

    def age(self, now: datetime) -> timedelta:
        """How long this authority has been valid."""
        return now - self.certificate.not_valid_before_utc


@dataclass(frozen=True, slots=True)
class Leaf:
    """A serving certificate with its key, as PEM text."""

    certificate_pem: str
    key_pem: str
    not_after: datetime


def new_authority(now: datetime) -> Authority:
    """Make an authority that can sign leaves and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"qiskit-operator gateway CA {now:%Y-%m-%d}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def load_authority(certificate_pem: str, key_pem: str) -> Authority:
    """Read an authority back from PEM text.

    Raises:
        ValueError: if either text is not PEM, the key is not an elliptic-curve key, or they do not match.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
    key = serialization.load_pem_private_key(key_pem.encode("ascii"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")  # noqa: TRY004 - the text is wrong
    if key.public_key() != certificate.public_key():
        raise ValueError("the authority's key does not belong to its certificate")
    return Authority(certificate, key)


def issue_leaf(authority: Authority, server_name: str, now: datetime) -> Leaf:
    """Issue a serving certificate for `server_name`, never outliving its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + LEAF_LIFETIME, authority.certificate.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
    return Leaf(pem, _key_pem(key), not_after)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
