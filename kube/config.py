"""Where the API server is and who we are to it: a kubeconfig, or the pod's own account.

Kubeconfigs are read by kubernetes-asyncio's loader, with its client certificates, tokens and exec plugins. It
brings 38 MB of generated models into the process, so it is imported only where there is a kubeconfig: a pod's
account is three small files.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kube.credentials import Authorization, Credential, Rotating, shortly_before, token_file
from kube.errors import Unauthorized

SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
SERVICE_PORT = "KUBERNETES_SERVICE_PORT"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where kubelet puts a pod's token, the cluster's CA and the namespace's name."""

KUBECONFIG = "KUBECONFIG"
HOME_KUBECONFIG = "~/.kube/config"

UNSUPPORTED = ("as", "as-uid", "as-groups", "as-user-extra", "username")
"""Fields of a kubeconfig's user that its loader reads past. Without them we would act as somebody else than asked."""


class NoConfiguration(Exception):
    """No usable configuration was found; the message says where was looked and what would help."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """An API server and our credentials.

    `server` has no trailing slash; `ssl_context` is None for http; `server_name` is the name to expect in the
    server's certificate where it is not the host's; `proxy` the URL of an HTTP proxy to go through.
    """

    server: str
    ssl_context: ssl.SSLContext | None = None
    authorization: Authorization | None = None
    namespace: str = "default"
    headers: dict[str, str] = field(default_factory=dict)
    server_name: str | None = None
    proxy: str | None = None


async def load_configuration(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    account: Path = ACCOUNT,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Configuration:
    """The named kubeconfig, else $KUBECONFIG, else the pod's account if in a pod, else ~/.kube/config.

    A plugin's token is fetched again when it expires or is refused; a client certificate from a plugin is
    used until it expires.

    Raises:
        NoConfiguration: if none of them is there or it cannot be used.
    """
    location = kubeconfig or os.environ.get(KUBECONFIG)
    if location is None and context is None and SERVICE_HOST in os.environ:
        return _in_cluster(account, clock)
    return await _from_kubeconfig(location or HOME_KUBECONFIG, context, clock, now)


def _in_cluster(account: Path, clock: Callable[[], float]) -> Configuration:
    token, authority, namespace = account / "token", account / "ca.crt", account / "namespace"
    if not token.exists() or not authority.exists():
        raise NoConfiguration(f"{account} holds no token and CA; is automountServiceAccountToken off?")
    try:
        trusting = _trusting(str(authority))
    except OSError as error:
        raise NoConfiguration(
            f"cannot use {authority}, the cluster's CA: {error}; does the namespace have its kube-root-ca.crt?"
        ) from error
    host, port = os.environ[SERVICE_HOST], os.environ.get(SERVICE_PORT, "443")
    return Configuration(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_context=trusting,
        authorization=token_file(token, clock),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


class _Loaded(NamedTuple):
    """What kubernetes-asyncio made of a kubeconfig: its own configuration, and the loader itself."""

    configuration: Any
    loader: Any

    @property
    def user(self) -> Any:
        """The current context's user as the file has it, or None; the loader keeps it to itself."""
        return self.loader._user

    def credential(self, now: datetime) -> Credential | None:
        value = self.configuration.api_key.get("BearerToken")
        expiry: datetime | None = getattr(self.loader, "exec_plugin_expiry", None)
        if not value:
            return None
        return Credential(value.strip(), shortly_before((expiry - now).total_seconds()) if expiry else inf)


async def _from_kubeconfig(
    location: str, context: str | None, clock: Callable[[], float], now: Callable[[], datetime]
) -> Configuration:
    loaded = await _load(location, context)
    first = loaded.credential(now())
    # Which context is current may change while we run, and another one's token is not for this server.
    context = loaded.loader.current_context["name"]

    async def fetch() -> Credential:
        # Reading all of it again also finds a token that somebody has put into the file itself.
        try:
            credential = (await _load(location, context)).credential(now())
        except NoConfiguration as error:
            raise Unauthorized(401, "NoCredentials", str(error)) from error
        if credential is None:
            raise Unauthorized(401, "NoCredentials", f"{location} has no token any more")
        return credential

    found = loaded.configuration
    _check("server", str(found.host), location)
    if found.proxy:
        _check("proxy-url", str(found.proxy), location)
    for name in UNSUPPORTED:
        if name in (loaded.user or {}):
            raise NoConfiguration(
                f"cannot use the kubeconfig {location}: the user's {name} is not supported; use a token, "
                "a client certificate or an exec plugin of the identity that is to act"
            )
    if urlsplit(str(found.host)).username is not None:
        raise NoConfiguration(
            f"cannot use the kubeconfig {location}: server has a user name in it; take it out"
        )
    return Configuration(
        server=str(found.host).rstrip("/"),
        ssl_context=_ssl_context(found, location),
        authorization=Rotating(fetch, initial=first, clock=clock) if first is not None else None,
        namespace=_namespace(loaded.loader.current_context),
        server_name=found.tls_server_name or None,
        proxy=found.proxy or None,
    )


async def _load(location: str, context: str | None) -> _Loaded:
    from kubernetes_asyncio.client.configuration import Configuration as LoaderConfiguration
    from kubernetes_asyncio.config.kube_config import load_kube_config

    if not any(os.path.exists(os.path.expanduser(part)) for part in location.split(os.pathsep)):  # noqa: ASYNC240
        raise NoConfiguration(
            f"there is no kubeconfig {location}; name one with --kubeconfig, or run in a pod"
        )
    configuration = LoaderConfiguration()
    try:
        loader = await load_kube_config(
            config_file=location, context=context, client_configuration=configuration
        )
    except Exception as error:  # the loader lets through whatever YAML, asserts and plugins raise
        said = str(error) or type(error).__name__
        raise NoConfiguration(f"cannot use the kubeconfig {location}: {said}") from error
    return _Loaded(configuration, loader)


def _check(field: str, url: str, location: str) -> None:
    if not url.startswith(("https://", "http://")):
        lacks = "begin with https:// or http://"
    elif not _is_address(url):
        lacks = "name a host, with a port up to 65535 or none, and have no spaces"
    else:
        return
    shown = "…@" + url.rpartition("@")[2] if "@" in url else url  # what is before it may be a password
    raise NoConfiguration(f"cannot use the kubeconfig {location}: {field} is {shown!r}, and must {lacks}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not any(map(str.isspace, url))
    except ValueError:  # brackets that are not closed, or a port that is none
        return False


def _namespace(current_context: dict[str, Any] | None) -> str:
    context = (current_context or {}).get("context") or {}
    return context.get("namespace") or "default"


def _ssl_context(found: Any, location: str) -> ssl.SSLContext | None:
    if not str(found.host).startswith("https"):
        return None
    what = "certificate-authority"
    try:
        context = _trusting(found.ssl_ca_cert)
        if not found.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if found.cert_file:
            what = "client-certificate or client-key"
            # With a password, even a wrong one, nobody is asked for one at a terminal that a service has not.
            context.load_cert_chain(found.cert_file, found.key_file, password="")
    except OSError as error:
        raise NoConfiguration(
            f"cannot use the kubeconfig {location}: {what} cannot be read: {error}; "
            "it must be PEM, and a key its certificate's and without a passphrase"
        ) from error
    return context


def _trusting(authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    # Python 3.13 began to refuse CAs without an Authority Key Identifier, which many clusters have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
