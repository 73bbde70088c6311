"""Where the API server is and who we are to it: a kubeconfig, or the pod's own account.

kubernetes-asyncio's loaders read both (client certificates, tokens, exec plugins). Credentials that rotate are
asked for again here: a pod's token file every minute, an exec plugin's token when it expires or is refused.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes_asyncio.client.configuration import Configuration as LoaderConfiguration
from kubernetes_asyncio.config import ConfigException, load_kube_config
from kubernetes_asyncio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_PORT_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
)
from kubernetes_asyncio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

TOKEN_FILE_LIFETIME = 60.0
"""Seconds for which a pod's token is used before its file is read again; kubelet renews it long before."""

_NAMESPACE_FILE = Path(SERVICE_CERT_FILENAME).with_name("namespace")


class NoConfiguration(Exception):
    """No usable configuration was found; the message says where was looked and what would help."""


Authorization = Callable[[bool], Awaitable[str | None]]
"""Gives the Authorization header's value; True asks for a fresh one because the last was refused."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """An API server and our credentials. `server` has no trailing slash; `ssl_context` is None for http."""

    server: str
    ssl_context: ssl.SSLContext | None = None
    authorization: Authorization | None = None
    namespace: str = "default"
    headers: dict[str, str] = field(default_factory=dict)


async def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """The named kubeconfig, else $KUBECONFIG or ~/.kube/config if there is one, else the pod's account.

    Raises:
        NoConfiguration: if none of them is there or it cannot be read.
    """
    if kubeconfig is None and SERVICE_HOST_ENV_NAME in os.environ and "KUBECONFIG" not in os.environ:
        return _in_cluster()
    location = kubeconfig or os.environ.get("KUBECONFIG") or KUBE_CONFIG_DEFAULT_LOCATION
    loaded = LoaderConfiguration()
    try:
        await load_kube_config(config_file=location, context=context, client_configuration=loaded)
    except (ConfigException, OSError) as error:
        raise NoConfiguration(
            f"cannot use the kubeconfig {location} ({error}); name another with --kubeconfig, or run in a pod"
        ) from error
    return Configuration(
        server=str(loaded.host).rstrip("/"),
        ssl_context=_ssl_context(loaded),
        authorization=_loader_authorization(loaded),
    )


def _in_cluster() -> Configuration:
    token, authority = Path(SERVICE_TOKEN_FILENAME), Path(SERVICE_CERT_FILENAME)
    if not token.exists() or not authority.exists():
        raise NoConfiguration(f"{token.parent} holds no service account's token; is automount switched off?")
    host, port = os.environ[SERVICE_HOST_ENV_NAME], os.environ[SERVICE_PORT_ENV_NAME]
    namespace = _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else "default"
    return Configuration(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_context=ssl.create_default_context(cafile=str(authority)),
        authorization=token_file_authorization(token),
        namespace=namespace,
    )


def token_file_authorization(path: Path, clock: Callable[[], float] = time.monotonic) -> Authorization:
    """Authorization by a token in a file that somebody renews."""
    read: tuple[float, str] | None = None

    async def authorization(refresh: bool) -> str | None:
        nonlocal read
        if refresh or read is None or clock() - read[0] >= TOKEN_FILE_LIFETIME:
            # A file of a few hundred bytes on a tmpfs: reading it takes less than handing it to a thread.
            read = (clock(), f"Bearer {path.read_text().strip()}")  # noqa: ASYNC240
        return read[1]

    return authorization


def _loader_authorization(loaded: LoaderConfiguration) -> Authorization | None:
    if not loaded.api_key and not loaded.refresh_api_key_hook:
        return None

    async def authorization(_refresh: bool) -> str | None:
        # Runs the loader's hook, which runs an exec plugin again once its token has expired.
        value = await loaded.get_api_key_with_prefix("BearerToken")
        return None if value is None else str(value)

    return authorization


def _ssl_context(loaded: LoaderConfiguration) -> ssl.SSLContext | None:
    if not str(loaded.host).startswith("https"):
        return None
    context = ssl.create_default_context(cafile=loaded.ssl_ca_cert)
    if not loaded.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if loaded.cert_file:
        context.load_cert_chain(loaded.cert_file, loaded.key_file)
    return context
