"""A real service in a process of its own, and real HTTPS servers on loopback for it to fetch from."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parent.parent.parent
_START_SECONDS = 60.0

BELL = """\
from qiskit import QuantumCircuit

qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests, and contexts for servers whose names it vouches for."""

    file: Path
    server: ssl.SSLContext

    @property
    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.file)


def make_authority(folder: Path) -> Authority:
    now = datetime.datetime.now(datetime.UTC)
    year = datetime.timedelta(days=365)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - year)
            .not_valid_after(now + year)
        )

    top_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    top_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    top = (
        certificate("tests", top_key)
        .issuer_name(top_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(top_key, hashes.SHA256())
    )
    hosts = ["localhost", "public.example", "other.example"]
    addresses = [ipaddress.ip_address(text) for text in ("127.0.0.1", "127.0.0.2", "::1")]
    names = [*map(x509.DNSName, hosts), *map(x509.IPAddress, addresses)]
    leaf = (
        certificate("localhost", key)
        .issuer_name(top_name)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(top_key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(top.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf.pem")
    return Authority(folder / "ca.pem", server)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


Start = Callable[..., "contextlib.AbstractContextManager[Running]"]


@dataclass(frozen=True)
class Running:
    """A service that runs: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """Ask it to stop, as a kubelet does, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_START_SECONDS)


@contextlib.contextmanager
def start_service(
    folder: Path, *flags: str, command: Sequence[str] = ("-m", "validation_image")
) -> Iterator[Running]:
    ports = folder / "ports.json"
    ports.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            sys.executable,
            *command,
            "--listen-host",
            "127.0.0.1",
            "--listen-port",
            "0",
            "--ports-file",
            str(ports),
            *flags,
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ports.exists():
            assert process.poll() is None, f"the service ended with {process.returncode}"
            assert time.monotonic() < deadline, "the service does not start"
            time.sleep(0.02)
        yield Running(f"http://127.0.0.1:{json.loads(ports.read_text())['http']}", process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Running]:
    """One that trusts the tests' authority and may fetch from `localhost`, by that name only."""
    folder = tmp_path_factory.mktemp("service")
    with start_service(folder, "--allow", "localhost", "--ca-file", str(authority.file)) as running:
        yield running


@pytest.fixture
async def http(service: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the service."""
    async with aiohttp.ClientSession(service.url) as session:
        yield session


Post = Callable[..., Any]


@pytest.fixture
def post(http: aiohttp.ClientSession) -> Post:
    """Posts JSON and gives back the JSON of a 200: await post("/validate", code=...)."""

    async def post(path: str, **body: object) -> Any:
        async with http.post(path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    return post
