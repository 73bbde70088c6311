"""Where the API server is and who we are: kubeconfigs as people write them, and a pod's account."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from kube import Client, NoConfiguration, Unauthorized, load_configuration
from localcluster.certificates import Authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this machine is configured for must not be found."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def a_kubeconfig(path: Path, user: dict[str, Any], **cluster: Any) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "lab", "context": {"cluster": "c", "user": "u", "namespace": "quantum"}},
            {"name": "plain", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def a_plugin(folder: Path, lifetime: float | None) -> dict[str, Any]:
    """An exec plugin that gives the tokens 1, 2, 3, … and breaks when the file `broken` is there."""
    script = folder / "plugin.py"
    status = {} if lifetime is None else {"expirationTimestamp": _written(NOW + timedelta(seconds=lifetime))}
    script.write_text(
        "import json, pathlib, sys\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "if (folder / 'broken').exists(): sys.exit('no ticket')\n"
        "runs = folder / 'runs'\n"
        "count = int(runs.read_text()) + 1 if runs.exists() else 1\n"
        "runs.write_text(str(count))\n"
        "kind = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential'}\n"
        f"print(json.dumps({{**kind, 'status': {{**{status!r}, 'token': str(count)}}}}))\n"
    )
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": [str(script)]}}


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_kubeconfig_names_server_namespace_and_token(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path / "config", {"token": "secret"})
    found = await load_configuration(path)
    assert (found.server, found.namespace) == ("http://127.0.0.1:1", "quantum")
    assert found.authorization is not None
    assert await found.authorization(None) == "Bearer secret"
    assert (await load_configuration(path, "plain")).namespace == "default"


async def test_a_server_behind_another_name_or_a_proxy_is_reached(tmp_path: Path) -> None:
    path = a_kubeconfig(
        tmp_path / "config", {}, **{"tls-server-name": "kubernetes", "proxy-url": "http://127.0.0.1:2"}
    )
    found = await load_configuration(path)
    assert (found.server_name, found.proxy) == ("kubernetes", "http://127.0.0.1:2")
    assert found.authorization is None


@pytest.mark.parametrize(
    ("field", "url"),
    [
        ("server", "api.example:6443"),
        ("server", "ftp://api.example"),
        ("server", "HTTPS://api.example"),
        ("server", ""),
        ("proxy-url", "socks5://127.0.0.1:1080"),
    ],
)
async def test_an_address_of_another_kind_is_refused_by_its_field(
    tmp_path: Path, field: str, url: str
) -> None:
    path = a_kubeconfig(tmp_path / "config", {}, **{field: url})
    with pytest.raises(NoConfiguration, match=f"{field} is '{url}', and must begin with https:// or http://"):
        await load_configuration(path)


@pytest.mark.parametrize("field", ["server", "proxy-url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://:6443",
        "https://api.example:99999",
        "https://api.example:0",
        "https://api.example:port",
        "https://[::1",
        "https://api.example:6443 ",
        "https://api.example/a path",
    ],
)
async def test_an_address_that_is_none_is_refused_by_its_field(tmp_path: Path, field: str, url: str) -> None:
    """And not by every request, with an error that nobody expects."""
    path = a_kubeconfig(tmp_path / "config", {}, **{field: url})
    with pytest.raises(NoConfiguration, match=f"{re.escape(f'{field} is {url!r}')}, and must name a host"):
        await load_configuration(path)


@pytest.mark.parametrize("field", ["server", "proxy-url"])
@pytest.mark.parametrize(
    "url", ["me:secret@api.example", "socks5://me:secret@api.example", "https://me:secret@api.example:0"]
)
async def test_an_address_that_is_refused_tells_no_password(tmp_path: Path, field: str, url: str) -> None:
    path = a_kubeconfig(tmp_path / "config", {}, **{field: url})
    with pytest.raises(NoConfiguration, match=f"{field} is '…@api.example") as caught:
        await load_configuration(path)
    assert "secret" not in str(caught.value)


def a_certificate(password: bytes | None) -> dict[str, str]:
    """A client's, with its key, as a kubeconfig has them."""
    pair = Authority("test").client("somebody")
    key = serialization.load_pem_private_key(pair.key, None)
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    return {
        "client-certificate-data": base64.b64encode(pair.certificate).decode(),
        "client-key-data": base64.b64encode(pem).decode(),
    }


async def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A key with a passphrase too: a service must not stop to ask a terminal for it."""
    https = "https://127.0.0.1:1"
    fine = a_certificate(None)
    path = a_kubeconfig(tmp_path / "config", fine, server=https)
    assert (await load_configuration(path)).ssl_context is not None
    noise = base64.b64encode(b"no PEM").decode()
    anothers = a_certificate(None)["client-key-data"]
    for user in (a_certificate(b"secret"), *({**fine, "client-key-data": key} for key in (noise, anothers))):
        path = a_kubeconfig(tmp_path / "config", user, server=https)
        with pytest.raises(NoConfiguration, match="client-certificate or client-key cannot be read"):
            await load_configuration(path)
    path = a_kubeconfig(tmp_path / "config", fine, server=https, **{"certificate-authority-data": noise})
    with pytest.raises(NoConfiguration, match="certificate-authority cannot be read"):
        await load_configuration(path)


async def test_a_user_name_in_the_servers_address_is_not_dropped_in_silence(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path / "config", {}, server="https://me:secret@api.example")
    with pytest.raises(NoConfiguration, match="server has a user name in it; take it out") as caught:
        await load_configuration(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "user",
    [
        {"token": "t", "as": "jane"},
        {"token": "t", "as-groups": ["nobody"]},
        {"username": "jane", "password": "hidden"},
    ],
    ids=["as", "as-groups", "username"],
)
async def test_another_identity_than_asked_for_is_never_taken(tmp_path: Path, user: dict[str, Any]) -> None:
    field = next(field for field in user if field != "token")
    with pytest.raises(NoConfiguration, match=f"the user's {field} is not supported") as refused:
        await load_configuration(a_kubeconfig(tmp_path / "config", user))
    assert "hidden" not in str(refused.value)


async def test_a_token_that_ends_with_a_line_break_is_sent_without_it(tmp_path: Path) -> None:
    found = await load_configuration(a_kubeconfig(tmp_path / "config", {"token": "secret\n"}))
    assert found.authorization is not None
    assert await found.authorization(None) == "Bearer secret"


async def test_g47_a_token_written_into_the_kubeconfig_is_found_once_the_old_one_is_refused(
    tmp_path: Path,
) -> None:
    path = a_kubeconfig(tmp_path / "config", {"token": "old"})
    authorization = (await load_configuration(path)).authorization
    assert authorization is not None
    assert await authorization(None) == "Bearer old"
    a_kubeconfig(tmp_path / "config", {"token": "new"})
    assert await authorization("Bearer old") == "Bearer new"


async def test_g47_another_context_that_is_made_the_current_one_gives_no_token_to_this_server(
    tmp_path: Path,
) -> None:
    """Somebody works on with kubectl, on another cluster, whose token is none of this server's business."""
    file = tmp_path / "config"
    authorization = (await load_configuration(a_kubeconfig(file, {"token": "old"}))).authorization
    assert authorization is not None
    content = yaml.safe_load(file.read_text())
    content["users"][0]["user"]["token"] = "new"
    content["users"].append({"name": "other", "user": {"token": "of another cluster"}})
    content["contexts"].append({"name": "other", "context": {"cluster": "c", "user": "other"}})
    content["current-context"] = "other"
    file.write_text(yaml.safe_dump(content))
    assert await authorization("Bearer old") == "Bearer new"
    content["contexts"] = content["contexts"][1:]
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(Unauthorized, match="lab"):
        await authorization("Bearer new")


async def test_g47_a_token_file_named_by_a_kubeconfig_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    authorization = (
        await load_configuration(a_kubeconfig(tmp_path / "config", {"tokenFile": str(token)}))
    ).authorization
    assert authorization is not None
    token.write_text("new")
    assert await authorization("Bearer old") == "Bearer new"


async def test_g47_an_exec_plugin_runs_again_when_its_token_expires_or_is_refused(tmp_path: Path) -> None:
    moments = [0.0]
    found = await load_configuration(
        a_kubeconfig(tmp_path / "config", a_plugin(tmp_path, lifetime=900)),
        clock=lambda: moments[0],
        now=lambda: NOW + timedelta(seconds=moments[0]),
    )
    assert found.authorization is not None
    assert [await found.authorization(None) for _ in range(3)] == ["Bearer 1"] * 3
    assert await found.authorization("Bearer 1") == "Bearer 2"
    moments[0] = 841.0
    assert await found.authorization(None) == "Bearer 3"


async def test_an_exec_plugin_without_an_expiry_runs_once(tmp_path: Path) -> None:
    """And not before every request."""
    found = await load_configuration(a_kubeconfig(tmp_path / "config", a_plugin(tmp_path, lifetime=None)))
    assert found.authorization is not None
    assert [await found.authorization(None) for _ in range(3)] == ["Bearer 1"] * 3


async def test_an_exec_plugin_that_fails_says_what_it_said(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path / "config", a_plugin(tmp_path, lifetime=None))
    found = await load_configuration(path)
    (tmp_path / "broken").touch()
    assert found.authorization is not None
    with pytest.raises(Unauthorized, match="no ticket"):
        await found.authorization("Bearer 1")
    with pytest.raises(NoConfiguration, match="no ticket"):
        await load_configuration(path)


@pytest.mark.parametrize(
    "content", ["", "]", "kind: Config", "current-context: gone\ncontexts: []", "\x00", "[1, 2]"]
)
async def test_a_kubeconfig_that_cannot_be_used_says_which(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(NoConfiguration, match=str(path)):
        await load_configuration(str(path))


async def test_a_kubeconfig_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(NoConfiguration, match="--kubeconfig"):
        await load_configuration("/nowhere/config")
    with pytest.raises(NoConfiguration, match=r"~/\.kube/config"):
        await load_configuration()


async def test_the_environment_names_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_kubeconfig(tmp_path / "config", {"token": "secret"})
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "absent"), path]))
    assert (await load_configuration()).namespace == "quantum"


@pytest.mark.cluster
async def test_a_pods_account_is_enough(
    client: Client,
    namespace: str,
    kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    token = json.loads(await client.raw("POST", path, body=b'{"spec":{"expirationSeconds":600}}'))
    cluster = _cluster(kubeconfig)
    host, port = cluster["server"].removeprefix("https://").rsplit(":", 1)
    (tmp_path / "token").write_text(token["status"]["token"])
    (tmp_path / "ca.crt").write_bytes(_authority(cluster))
    (tmp_path / "namespace").write_text(namespace)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    found = await load_configuration(account=tmp_path)
    assert found.namespace == namespace
    async with Client(found, user_agent="test") as pod:
        whoami = await pod.raw(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
        )
    user = json.loads(whoami)["status"]["userInfo"]["username"]
    assert user == f"system:serviceaccount:{namespace}:default"


def _cluster(kubeconfig: Path) -> dict[str, Any]:
    cluster: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return cluster


def _authority(cluster: dict[str, Any]) -> bytes:
    data = cluster.get("certificate-authority-data")
    return base64.b64decode(data) if data else Path(cluster["certificate-authority"]).read_bytes()


async def test_a_pod_without_an_account_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(NoConfiguration, match="automountServiceAccountToken"):
        await load_configuration(account=tmp_path)


async def test_a_pod_with_a_ca_that_is_none_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    (tmp_path / "token").write_text("secret")
    (tmp_path / "ca.crt").touch()
    with pytest.raises(NoConfiguration, match=r"ca\.crt.*kube-root-ca"):
        await load_configuration(account=tmp_path)


def test_a_pod_does_without_the_generated_models() -> None:
    """They cost 38 MB, and only a kubeconfig needs them."""
    program = "import sys, kube; sys.exit(any(name.startswith('kubernetes_asyncio') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
