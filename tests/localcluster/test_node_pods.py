"""Pods on the local node live and end as on any node."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kube import CONFIG_MAPS, PODS
from localcluster.kubectl import Kubectl

pytestmark = pytest.mark.node


def terminated(pod: dict[str, Any]) -> dict[str, Any]:
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


def waiting(pod: dict[str, Any]) -> dict[str, Any]:
    for status in pod["status"].get("containerStatuses", ()):
        return dict(status["state"].get("waiting", {}))
    return {}


def running(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses", ())
    return any("running" in status["state"] for status in statuses)


async def test_a_pod_succeeds_and_its_output_is_in_kubectl_logs(pods: Any, kubectl: Kubectl) -> None:
    await pods.run("print('one'); print('two')")
    pod = await pods.ended()
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["nodeName"] == "node-under-test"
    assert terminated(pod)["exitCode"] == 0
    assert terminated(pod)["reason"] == "Completed"
    assert await kubectl("logs", "pod", f"--namespace={pods.namespace}") == "one\ntwo\n"
    assert await kubectl("logs", "pod", f"--namespace={pods.namespace}", "--tail=1") == "two\n"


async def test_an_exit_code_and_the_last_words_are_in_the_status(pods: Any) -> None:
    await pods.run(
        """
        import os
        open(os.environ["LAST_WORDS"], "w").write("no more circuits")
        raise SystemExit(71)
        """,
        env=[{"name": "LAST_WORDS", "value": "/dev/termination-log"}],
    )
    pod = await pods.ended()
    assert pod["status"]["phase"] == "Failed"
    end = terminated(pod)
    assert (end["exitCode"], end["reason"], end["message"]) == (71, "Error", "no more circuits")


async def test_logs_stand_in_for_last_words_where_that_is_asked_for(pods: Any) -> None:
    await pods.run("raise SystemExit('out of luck')", terminationMessagePolicy="FallbackToLogsOnError")
    assert terminated(await pods.ended())["message"] == "out of luck\n"


async def test_a_signal_shows_as_128_and_its_number(pods: Any) -> None:
    # A fault, since the first process of a process namespace is immune to the signals that it sends itself.
    await pods.run("import ctypes; ctypes.string_at(0)")
    assert terminated(await pods.ended())["exitCode"] == 139


async def test_memory_beyond_the_limit_is_oomkilled(pods: Any) -> None:
    await pods.run(
        """
        import time
        hoard = []
        while True:
            hoard.append(bytearray(8 << 20))
            time.sleep(0.005)
        """,
        resources={"limits": {"memory": "96Mi"}},
    )
    end = terminated(await pods.ended())
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


async def test_an_image_that_stands_for_nothing_waits_as_imagepullbackoff(pods: Any) -> None:
    await pods.run("", image="registry.example/unknown:1")
    pod = await pods.until(lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    assert "registry.example/unknown:1" in waiting(pod)["message"]
    assert pod["status"]["phase"] == "Pending"


async def test_a_pod_that_waits_for_its_image_can_be_deleted(pods: Any) -> None:
    await pods.run("", image="registry.example/unknown:1")
    await pods.until(lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    await pods.client.delete(PODS, "pod", pods.namespace)
    await pods.until_gone()


async def test_deletion_lets_a_container_finish_within_its_grace(pods: Any, kubectl: Kubectl) -> None:
    await pods.run(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("leaving", flush=True), sys.exit(5)))
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
        """
    )
    await pods.until_logged("ready")
    follower = await asyncio.create_subprocess_exec(
        kubectl.binary,
        *(f"--kubeconfig={kubectl.kubeconfig}", "logs", "-f", "pod", f"--namespace={pods.namespace}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert follower.stdout is not None
    assert await follower.stdout.readline() == b"ready\n"
    await pods.client.delete(PODS, "pod", pods.namespace)
    await pods.until_gone()
    assert await follower.stdout.read() == b"leaving\n"
    assert await follower.wait() == 0


async def test_a_container_that_will_not_listen_is_killed_after_its_grace(pods: Any) -> None:
    await pods.run(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)
        """,
        pod={"terminationGracePeriodSeconds": 1},
    )
    await pods.until(running)
    await pods.client.delete(PODS, "pod", pods.namespace)
    await pods.until_gone()


async def test_what_an_eviction_says_of_a_pod_is_still_there_when_that_has_ended(pods: Any) -> None:
    """An operator tells by it that the pod did not fail of itself."""
    await pods.run(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
        """
    )
    await pods.until_logged("ready")
    stay = [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/stay"]}]
    await pods.client.json_patch(PODS, "pod", stay, pods.namespace)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod"}}
    path = PODS.path(pods.namespace, "pod", "eviction")
    await pods.client.raw("POST", path, body=json.dumps(eviction).encode())
    pod = await pods.ended()
    go = [{"op": "remove", "path": "/metadata/finalizers"}]
    await pods.client.json_patch(PODS, "pod", go, pods.namespace)
    assert (pod["status"]["phase"], terminated(pod)["exitCode"]) == ("Failed", 5)
    conditions = {condition["type"]: condition for condition in pod["status"]["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "EvictionByEvictionAPI"
    assert conditions["PodScheduled"]["status"] == "True"
    assert conditions["Ready"]["reason"] == "PodFailed"
    await pods.until_gone()


async def test_a_ready_pod_gives_no_reason_any_more_why_it_is_not(pods: Any) -> None:

    def ready(pod: dict[str, Any]) -> dict[str, Any]:
        conditions = pod["status"].get("conditions", ())
        return next((dict(each) for each in conditions if each["type"] == "Ready"), {})

    await pods.run(
        "import time; time.sleep(600)",
        pod={
            "volumes": [{"name": "late", "configMap": {"name": "late"}}],
            "terminationGracePeriodSeconds": 0,
        },
    )
    await pods.until(lambda pod: ready(pod).get("reason") == "ContainersNotReady")
    late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    await pods.client.create(CONFIG_MAPS, late, pods.namespace)
    assert not ready(await pods.until(running)).get("reason")


async def test_a_deadline_ends_a_pod_as_failed(pods: Any) -> None:
    await pods.run(
        "import time; time.sleep(600)", pod={"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
    )
    pod = await pods.ended()
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


async def test_on_failure_starts_again_until_it_succeeds(pods: Any) -> None:
    await pods.run(
        """
        import os, pathlib
        tries = pathlib.Path(os.environ["NOTES"]) / "tries"
        tries.write_text((tries.read_text() if tries.exists() else "") + "x")
        raise SystemExit(0 if len(tries.read_text()) == 3 else 1)
        """,
        pod={"restartPolicy": "OnFailure", "volumes": [{"name": "notes", "emptyDir": {}}]},
        env=[{"name": "NOTES", "value": "/notes"}],
        volumeMounts=[{"name": "notes", "mountPath": "/notes"}],
    )
    pod = await pods.ended()
    assert pod["status"]["phase"] == "Succeeded"
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["exitCode"] == 1


async def test_init_containers_run_first_and_in_order(pods: Any) -> None:
    mount = {
        "env": [{"name": "SHARED", "value": "/shared/steps"}],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    append = "import os; print({!r}, file=open(os.environ['SHARED'], 'a'))"
    init = [
        {"name": name, "image": "test/python", "args": ["-c", append.format(name)], **mount}
        for name in ("first", "second")
    ]
    await pods.run(
        "import os; print(open(os.environ['SHARED']).read())",
        pod={"initContainers": init, "volumes": [{"name": "shared", "emptyDir": {}}]},
        **mount,
    )
    assert (await pods.ended())["status"]["phase"] == "Succeeded"
    assert (await pods.logs()).split() == ["first", "second"]


async def test_a_failed_init_container_fails_the_pod(pods: Any) -> None:
    init = [{"name": "first", "image": "test/python", "args": ["-c", "raise SystemExit(9)"]}]
    await pods.run("print('never')", pod={"initContainers": init})
    pod = await pods.ended()
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 9


async def test_a_command_that_does_not_exist_is_a_start_error(pods: Any) -> None:
    await pods.run("", command=["/no/such/program"])
    end = terminated(await pods.ended())
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert "No such file" in end["message"]
