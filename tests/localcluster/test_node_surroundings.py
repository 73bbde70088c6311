"""What a pod on the local node sees: its environment, its volumes, its tokens, and nothing of its neighbours."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

import pytest

from kube import CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SECRETS, Client, NotFound
from localcluster.node.start import LocalNode

pytestmark = pytest.mark.node


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


async def printed(pods: Any, name: str = "pod") -> Any:
    """What the pod printed, which is one JSON value."""
    pod = await pods.ended(name)
    output = await pods.logs(name)
    assert pod["status"]["phase"] == "Succeeded", output
    return json.loads(output)


async def test_the_downward_api_tells_a_pod_who_it_is(pods: Any) -> None:
    limits = {"cpu": "1500m", "memory": "256Mi"}
    await pods.run(
        "import json, os; print(json.dumps(dict(os.environ)))",
        resources={"limits": limits},
        env=[
            field("NAME", "metadata.name"),
            field("UID", "metadata.uid"),
            field("NODE", "spec.nodeName"),
            field("ADDRESS", "status.podIP"),
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {
                "name": "MEBIBYTES",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            },
            {"name": "GREETING", "value": "$(NAME) on $(NODE), not $$(NODE) or $(NOBODY)"},
        ],
    )
    told = await printed(pods)
    assert told["NAME"] == "pod"
    assert told["UID"] == (await pods.get())["metadata"]["uid"]
    assert told["NODE"] == "node-under-test"
    assert told["ADDRESS"] == "127.0.0.1"
    assert told["CPUS"] == "2"
    assert told["MEBIBYTES"] == "256"
    assert told["GREETING"] == "pod on node-under-test, not $(NODE) or $(NOBODY)"


async def test_mounted_paths_in_the_environment_lead_to_the_volume(pods: Any) -> None:
    code = (
        "import json, os, pathlib, sys; work = pathlib.Path(os.environ['WORK']); "
        "(work / 'note').write_text('kept'); "
        "print(json.dumps([pathlib.Path(os.environ['NOTE']).read_text(), os.environ['OTHER'], "
        "sys.argv[1] == os.environ['WORK']]))"
    )
    await pods.run(
        "",
        args=["-c", code, "$(WORK)"],
        pod={"volumes": [{"name": "work", "emptyDir": {}}]},
        volumeMounts=[{"name": "work", "mountPath": "/desk"}],
        env=[
            {"name": "WORK", "value": "/desk"},
            {"name": "NOTE", "value": "$(WORK)/note"},
            {"name": "OTHER", "value": "/desktop/note"},
        ],
    )
    assert await printed(pods) == ["kept", "/desktop/note", True]


async def test_config_maps_and_secrets_come_as_variables_and_as_files(pods: Any, client: Client) -> None:
    named = {"metadata": {"name": "source"}}
    await client.create(CONFIG_MAPS, {**named, "data": {"depth": "3"}}, pods.namespace)
    secret = base64.b64encode(b"hush").decode()
    await client.create(SECRETS, {**named, "data": {"word": secret}}, pods.namespace)
    await pods.run(
        """
        import json, os, pathlib
        files = pathlib.Path(os.environ["FILES"])
        print(json.dumps([os.environ["DEPTH"], os.environ["IN_word"],
            *((files / name).read_text() for name in ("all/depth", "word", "labels", "name"))]))
        """,
        pod={
            "volumes": [
                {
                    "name": "files",
                    "projected": {
                        "sources": [
                            {
                                "configMap": {
                                    "name": "source",
                                    "items": [{"key": "depth", "path": "all/depth"}],
                                }
                            },
                            {"secret": {"name": "source"}},
                            {
                                "downwardAPI": {
                                    "items": [
                                        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                                        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                                    ]
                                }
                            },
                        ]
                    },
                }
            ]
        },
        volumeMounts=[{"name": "files", "mountPath": "/files"}],
        envFrom=[{"prefix": "IN_", "secretRef": {"name": "source"}}],
        env=[
            {"name": "FILES", "value": "/files"},
            {"name": "DEPTH", "valueFrom": {"configMapKeyRef": {"name": "source", "key": "depth"}}},
        ],
    )
    assert await printed(pods) == ["3", "hush", "3", "hush", "", "pod"]


async def test_a_missing_config_map_is_waited_for(pods: Any, client: Client) -> None:
    reference = {"configMapKeyRef": {"name": "late", "key": "word"}}
    await pods.run(
        "import json, os; print(json.dumps(os.environ['WORD']))",
        env=[{"name": "WORD", "valueFrom": reference}],
    )
    await pods.until(
        lambda pod: "CreateContainerConfigError" in json.dumps(pod["status"].get("containerStatuses"))
    )
    await client.create(CONFIG_MAPS, {"metadata": {"name": "late"}, "data": {"word": "here"}}, pods.namespace)
    assert await printed(pods) == "here"


TOKEN_VOLUME = {
    "name": "token",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "audience": "test-gateway", "expirationSeconds": 600}}
        ]
    },
}


async def test_a_projected_token_names_the_pod_to_its_audience(pods: Any, client: Client) -> None:
    await pods.run(
        "import json, os; print(json.dumps(open(os.environ['TOKEN']).read()))",
        pod={"volumes": [TOKEN_VOLUME]},
        volumeMounts=[{"name": "token", "mountPath": "/var/run/secrets/test"}],
        env=[{"name": "TOKEN", "value": "/var/run/secrets/test/token"}],
    )
    token = await printed(pods)
    review = await client.review_token(token, ["test-gateway"])
    assert review.authenticated
    assert (review.pod_name, review.pod_uid) == ("pod", (await pods.get())["metadata"]["uid"])
    assert review.username == f"system:serviceaccount:{pods.namespace}:default"
    assert not (await client.review_token(token, ["somebody-else"])).authenticated


async def test_a_projected_token_is_renewed_while_the_pod_runs(pods: Any, brisk_node: LocalNode) -> None:
    await pods.run(
        """
        import json, os, time
        seen = []
        while len(seen) < 3:
            token = open(os.environ["TOKEN"]).read()
            if token not in seen:
                seen.append(token)
            time.sleep(0.01)
        print(json.dumps(seen))
        """,
        pod={"nodeName": brisk_node.name, "volumes": [TOKEN_VOLUME]},
        volumeMounts=[{"name": "token", "mountPath": "/token"}],
        env=[{"name": "TOKEN", "value": "/token/token"}],
    )
    tokens = await printed(pods)
    expiries = [json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["exp"] for token in tokens]
    assert expiries == sorted(expiries)
    assert len(set(tokens)) == 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_a_pod_runs_as_its_user_and_never_as_root(pods: Any, separation: None) -> None:
    code = "import json, os; print(json.dumps([os.getuid(), os.getgid(), sorted(os.getgroups())]))"
    await pods.run(
        code,
        "one",
        pod={"securityContext": {"runAsUser": 4711, "runAsGroup": 4712, "fsGroup": 4713}},
    )
    await pods.run(code, "other", pod={"securityContext": {"runAsUser": 0}})
    assert await printed(pods, "one") == [4711, 4712, [4713]]
    assert (await printed(pods, "other"))[0] > 1000


async def test_a_pod_sees_neither_other_pods_nor_their_files(pods: Any, separation: None) -> None:
    volume = {"volumes": [{"name": "work", "emptyDir": {}}]}
    mount: dict[str, Any] = {
        "volumeMounts": [{"name": "work", "mountPath": "/desk"}],
        "env": [{"name": "WORK", "value": "/desk"}],
    }
    await pods.run(
        """
        import os, pathlib, time
        pathlib.Path(os.environ["WORK"], "mine").write_text("private")
        pathlib.Path("/tmp/also-mine").write_text("private")
        print(os.environ["WORK"], flush=True)
        time.sleep(600)
        """,
        "neighbour",
        pod={**volume, "terminationGracePeriodSeconds": 0},
        **mount,
    )
    await pods.until_logged("\n", "neighbour")
    neighbours = (await pods.logs("neighbour")).strip()
    await pods.run(
        f"""
        import json, os, pathlib
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
        around = os.listdir(pathlib.Path(os.environ["WORK"]).parents[2])
        print(json.dumps([os.path.exists({neighbours!r}), len(around), processes, "also-mine" in os.listdir("/tmp")]))
        """,
        pod=volume,
        **mount,
    )
    assert await printed(pods) == [False, 1, ["1"], False]


async def test_what_a_container_leaves_running_ends_with_it(pods: Any, separation: None) -> None:
    await pods.run(
        """
        import json, os, subprocess, sys, textwrap
        loop = '''
        import os, time
        while True:
            open(os.environ["BEAT"], "w").write(str(time.time()))
            time.sleep(0.01)
        '''
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(loop)], start_new_session=True)
        while not os.path.exists(os.environ["BEAT"]):
            pass
        """,
        pod={
            "restartPolicy": "OnFailure",
            "volumes": [{"name": "heart", "persistentVolumeClaim": {"claimName": "heart"}}],
        },
        volumeMounts=[{"name": "heart", "mountPath": "/heart"}],
        env=[{"name": "BEAT", "value": "/heart/beat"}],
    )
    await pods.client.create(PERSISTENT_VOLUME_CLAIMS, claim("heart"), pods.namespace)
    await pods.ended()
    await pods.run(
        """
        import json, os, time
        before = open(os.environ["BEAT"]).read()
        time.sleep(0.2)
        print(json.dumps(before == open(os.environ["BEAT"]).read()))
        """,
        "look",
        pod={"volumes": [{"name": "heart", "persistentVolumeClaim": {"claimName": "heart"}}]},
        volumeMounts=[{"name": "heart", "mountPath": "/heart"}],
        env=[{"name": "BEAT", "value": "/heart/beat"}],
    )
    assert await printed(pods, "look") is True


def claim(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


async def test_a_claim_is_bound_and_keeps_what_pods_write(pods: Any, client: Client) -> None:
    await client.create(PERSISTENT_VOLUME_CLAIMS, claim("results"), pods.namespace)
    volume = {
        "securityContext": {"runAsUser": 65532, "fsGroup": 65532},
        "volumes": [{"name": "out", "persistentVolumeClaim": {"claimName": "results"}}],
    }
    env = [{"name": "OUT", "value": "/output/counts.json"}]
    await pods.run(
        "import json, os; json.dump({'00': 1}, open(os.environ['OUT'], 'w')); print('0')",
        "writer",
        pod=volume,
        volumeMounts=[{"name": "out", "mountPath": "/output", "subPath": "job-1"}],
        env=env,
    )
    await printed(pods, "writer")
    await pods.run(
        "import os; print(open(os.environ['OUT']).read())",
        "reader",
        pod=volume,
        volumeMounts=[{"name": "out", "mountPath": "/output"}],
        env=[{"name": "OUT", "value": "/output/job-1/counts.json"}],
    )
    assert await printed(pods, "reader") == {"00": 1}
    bound = await client.get(PERSISTENT_VOLUME_CLAIMS, "results", pods.namespace)
    await client.raw("DELETE", f"/api/v1/namespaces/{pods.namespace}/pods")
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "results", pods.namespace)
    async with asyncio.timeout(90):
        with pytest.raises(NotFound):
            while True:
                await client.get(PERSISTENT_VOLUMES, bound["spec"]["volumeName"])
                await asyncio.sleep(0.05)
