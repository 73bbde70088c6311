"""An operator that is killed again and again while it has 500 objects to care for, on the real API server.

What happened is read from the API server's own audit log, not from what the operator believes: every child
was created once, every parent was written once, and nothing was written after the end.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kube import CONFIG_MAPS, NAMESPACES, Client, PartialObject, load_configuration
from localcluster.controlplane import ControlPlane
from tests.chaos.sample_operator import ANNOTATION

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SAMPLE = Path(__file__).with_name("sample_operator.py")
OBJECTS = 500
DEADLINE = 120.0


@asynccontextmanager
async def running(kubeconfig: Path, namespace: str) -> AsyncIterator[asyncio.subprocess.Process]:
    root = Path(__file__).parent.parent.parent
    process = await asyncio.create_subprocess_exec(
        sys.executable, SAMPLE, kubeconfig, namespace, env=os.environ | {"PYTHONPATH": str(root)}, cwd=root
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def finished(client: Client, namespace: str) -> int:
    parents = await client.list_items(
        CONFIG_MAPS, namespace, type=PartialObject, label_selector="chaos=parent"
    )
    return sum(ANNOTATION in parent.metadata.annotations for parent in parents)


async def killed_and_restarted(client: Client, kubeconfig: Path, namespace: str, kills: random.Random) -> int:
    """Run the operator to the end, killing it at points that are drawn from how far it has come."""
    restarts = 0
    async with asyncio.timeout(DEADLINE):
        while True:
            target = await finished(client, namespace) + kills.randint(20, 160)
            async with running(kubeconfig, namespace) as process:
                while (done := await finished(client, namespace)) < min(target, OBJECTS):
                    assert process.returncode is None, "the operator ended by itself"
                if done == OBJECTS:
                    return restarts
            restarts += 1


async def one_round(plane: ControlPlane, seed: int) -> None:
    kills = random.Random(seed)
    audit = plane.audit_log
    assert audit is not None
    configuration = await load_configuration(str(plane.kubeconfig))
    async with Client(configuration, user_agent="chaos-test") as client:
        namespace = (await client.create(NAMESPACES, {"metadata": {"generateName": "chaos-"}}))["metadata"][
            "name"
        ]
        limit = asyncio.Semaphore(20)

        async def create(number: int) -> None:
            body = {"metadata": {"name": f"p{number:03d}", "labels": {"chaos": "parent"}}}
            async with limit:
                await client.create(CONFIG_MAPS, body, namespace)

        async with asyncio.TaskGroup() as tasks:
            for number in range(OBJECTS):
                tasks.create_task(create(number))
        restarts = await killed_and_restarted(client, plane.kubeconfig, namespace, kills)
        assert restarts >= 2, "the operator was too fast to be killed; draw earlier points"

        before = len(requests(audit, namespace))
        # One more life with nothing to do: whatever it writes would be a write after the end.
        async with running(plane.kubeconfig, namespace):
            await asyncio.sleep(2)
        seen = requests(audit, namespace)
        assert len(seen) == before
        assert_once(seen, "create", [f"p{n:03d}-child" for n in range(OBJECTS)])
        assert_once(seen, "patch", [f"p{n:03d}" for n in range(OBJECTS)])
        assert {verb for verb, _, _ in seen} == {"create", "patch"}


def assert_once(seen: list[tuple[str, str, int]], verb: str, names: list[str]) -> None:
    """Each of these objects was written once, and no other.

    A request whose sender was killed while it was under way is logged as 504 whether it was carried out or
    not. So an object has one success, or none and a 504, which then is the one that was carried out: the
    object is there, as was checked before.
    """
    succeeded = Counter(name for what, name, code in seen if what == verb and code < 300)
    interrupted = {name for what, name, code in seen if what == verb and code == 504}
    assert set(succeeded) | interrupted == set(names)
    assert [name for name, times in succeeded.items() if times > 1] == []
    assert set(names) - set(succeeded) <= interrupted


def requests(audit: Path, namespace: str) -> list[tuple[str, str, int]]:
    """The operator's writing requests, by the audit log: (verb, object, status code)."""
    found = []
    for line in audit.read_bytes().splitlines():
        entry: dict[str, Any] = msgspec.json.decode(line)
        reference = entry.get("objectRef", {})
        if (
            entry["stage"] == "ResponseComplete"
            and entry.get("userAgent", "").startswith("chaos-sample")
            and reference.get("namespace") == namespace
            and entry["verb"] not in ("get", "list", "watch")
        ):
            found.append((entry["verb"], reference.get("name") or "", entry["responseStatus"]["code"]))
    return found


async def test_every_object_ends_right_however_often_the_operator_is_killed() -> None:
    async with ControlPlane.start(audit_log=True) as plane:
        await one_round(plane, seed=1)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
async def test_twenty_rounds_of_kills() -> None:
    async with ControlPlane.start(audit_log=True) as plane:
        for seed in range(20):
            await one_round(plane, seed)
