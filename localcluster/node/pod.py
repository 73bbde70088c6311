"""The life of one pod on the node, from its volumes to its last status.

    prepare volumes → init containers, one after the other → containers, all at once
        → each ends, and is started again as the restart policy says → Succeeded or Failed

Three things cut it short, whatever it is doing: its deletion and its deadline, which give the containers
their grace period, and its disappearance from the API, which does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kube import ApiError
from localcluster.node import states
from localcluster.node.container import Container
from localcluster.node.downward import Pod
from localcluster.node.environment import ConfigurationError
from localcluster.node.launching import ImageUnknown, Launcher
from localcluster.node.ownership import owner_of
from localcluster.node.process import Launch, Process
from localcluster.node.states import Running, Terminated, Waiting
from localcluster.node.status import Reporter, pod_status
from localcluster.node.volumes import NotMounted, Volumes

_LONGEST_BACKOFF = 300.0
_UNREMARKABLE = 0.1
_FIRST_RETRY = 0.1
_LONGEST_RETRY = 10.0
_DEFAULT_GRACE = 30.0
_LOST = Terminated(
    137, "ContainerStatusUnknown", "The container was not on the node any more when the node came back."
)


@dataclass(frozen=True)
class Ending:
    """A pod's life is cut short: with how much grace in seconds, and the reason and message of its failure."""

    grace: float
    report: Mapping[str, str] = field(default_factory=dict)


class PodLife:
    """One pod. `run` lives it; `observe` and `vanish` tell it what the API says meanwhile."""

    def __init__(self, pod: Pod, launcher: Launcher) -> None:
        self._pod = pod
        self._launcher = launcher
        self._settings = launcher.settings
        self.namespace: str = pod["metadata"]["namespace"]
        self.name: str = pod["metadata"]["name"]
        self.uid: str = pod["metadata"]["uid"]
        self.folder = launcher.folder(pod)
        spec = pod["spec"]
        self.init = [self._container(each) for each in spec.get("initContainers", ())]
        self.main = [self._container(each) for each in spec["containers"]]
        self._policy: str = spec.get("restartPolicy", "Always")
        self._started_at: str = pod.get("status", {}).get("startTime") or states.now()
        self._volumes = Volumes(
            pod,
            self.folder / "volumes",
            launcher.facts,
            launcher.api,
            owner_of(pod, shed=launcher.host.shed),
            renew_after=self._settings.renew_tokens_after,
        )
        self._reporter = Reporter(pod, launcher.api)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()
        self._why: Mapping[str, str] = {}

    def observe(self, pod: Pod) -> None:
        """The pod as the API has it now. All that can matter to a running pod is that it is being deleted."""
        if pod["metadata"].get("deletionTimestamp") and not self._ending.done():
            self._ending.set_result(Ending(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)))

    @property
    def vanished(self) -> bool:
        """Whether the pod is not in the API any more."""
        return self._reporter.gone.is_set()

    def vanish(self) -> None:
        """The pod is not in the API any more: end everything at once."""
        self._reporter.gone.set()

    async def run(self) -> None:
        """Live the pod's life; what stays is its folder with the logs, until `forget`."""
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._reporter.run(), name=f"reports of {self.uid}"),
                group.create_task(self._kill_when_gone(), name=f"disappearance of {self.uid}"),
            ]
            life = group.create_task(self._live(), name=f"life of {self.uid}")
            await self._until_over(life)
            self._report(over=True)
            await self._reporter.flush()
            if self._ending.done() and not self.vanished:
                await self._remove()
            for helper in helpers:
                helper.cancel()
        for used in ("volumes", "tmp"):
            shutil.rmtree(self.folder / used, ignore_errors=True)

    def forget(self) -> None:
        """Remove all that is left of the pod."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _container(self, spec: Mapping[str, object]) -> Container:
        return Container(spec, self.folder / "containers" / str(spec["name"]))

    # --- how it goes on ---------------------------------------------------------------------------------

    async def _live(self) -> None:
        if self._lost():
            return
        # A pod that starts within that time needs no report of its own that it is being started.
        remark = asyncio.get_running_loop().call_later(_UNREMARKABLE, self._report)
        try:
            await self._start_and_finish()
        finally:
            remark.cancel()

    async def _start_and_finish(self) -> None:
        async with asyncio.TaskGroup() as group:
            if not await self._prepared():
                return
            renewing = group.create_task(self._volumes.keep_tokens_fresh())
            for container in self.init:
                # An init container is started again until it succeeds, unless the policy is Never.
                await self._supervise(container, "Never" if self._policy == "Never" else "OnFailure")
                if not (isinstance(container.state, Terminated) and container.state.exit_code == 0):
                    break
            else:
                async with asyncio.TaskGroup() as running:
                    for container in self.main:
                        running.create_task(self._supervise(container, self._policy))
            renewing.cancel()

    def _lost(self) -> bool:
        """Whether the pod ran in an earlier life of the node, which did not survive."""
        status = self._pod.get("status", {})
        seen = {each["name"] for each in status.get("containerStatuses", ()) if each.get("containerID")}
        for container in self.main:
            if container.name in seen:
                container.state = _LOST
        return bool(seen)

    async def _prepared(self) -> bool:
        delay = _FIRST_RETRY
        while not self._stopping.is_set():
            try:
                await self._volumes.prepare()
                return True
            except (NotMounted, ApiError) as error:
                for container in self.main:
                    container.state = Waiting("ContainerCreating", str(error))
                self._report()
            await self._pause(delay)
            delay = min(2 * delay, _LONGEST_RETRY)
        return False

    async def _supervise(self, container: Container, policy: str) -> None:
        backoff = self._settings.first_backoff
        while (launch := await self._launch(container)) is not None:
            process = container.process = Process(launch, self._launcher.keeper, self._settings.memory_poll)
            container.runs += 1
            ended = await process.run(lambda started: self._running(container, started))
            container.state, container.process = ended, None
            again = states.restarts(policy, ended) and not self._stopping.is_set()
            if again:
                container.last_state = ended
                container.state = Waiting("CrashLoopBackOff", f"back-off {backoff:.0f}s restarting container")
            self._report()
            if not again:
                return
            await self._pause(backoff)
            if self._stopping.is_set():
                container.state = ended
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    async def _launch(self, container: Container) -> Launch | None:
        """What to start it with, waited for as long as it takes; None once the pod is to end."""
        delay = _FIRST_RETRY
        refused = False
        while not self._stopping.is_set():
            try:
                return await self._launcher.launch(self._pod, container, self._volumes)
            except ImageUnknown:
                what = f'image "{container.image}" stands for no program of the local node'
                waiting = Waiting("ImagePullBackOff" if refused else "ErrImagePull", what)
                refused = True
            except ConfigurationError as error:
                waiting = Waiting("CreateContainerConfigError", str(error))
            except (NotMounted, ApiError) as error:
                waiting = Waiting("ContainerCreating", str(error))
            container.state = waiting
            self._report()
            await self._pause(delay)
            delay = min(2 * delay, _LONGEST_RETRY)
        return None

    def _running(self, container: Container, started_at: str) -> None:
        container.state = Running(started_at)
        self._report()
        if self._stopping.is_set() and container.process is not None:
            # It was asked to end before it was there to hear it.
            container.process.signal(signal.SIGTERM)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the pod is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # --- how it ends ------------------------------------------------------------------------------------

    async def _until_over(self, life: asyncio.Task[None]) -> None:
        """Wait for the end of its life, bringing it about when it is deleted or its time is up."""
        either: set[asyncio.Future[Any]] = {life, self._ending}
        await asyncio.wait(either, timeout=self._left(), return_when=asyncio.FIRST_COMPLETED)
        if not life.done():
            ending = self._ending.result() if self._ending.done() else self._past_deadline()
            # Before the first container ends: a final phase must never be seen without its reason.
            self._why = ending.report
            await self._terminate(life, ending.grace)
        await life

    async def _terminate(self, life: asyncio.Task[None], grace: float) -> None:
        self._stopping.set()
        self._signal(signal.SIGTERM)
        await asyncio.wait({life}, timeout=grace)
        while not life.done():
            self._signal(signal.SIGKILL)
            await asyncio.wait({life}, timeout=_FIRST_RETRY)

    def _signal(self, number: int) -> None:
        for container in (*self.init, *self.main):
            if container.process is not None:
                container.process.signal(number)

    def _left(self) -> float | None:
        """Seconds until the pod's deadline."""
        deadline = self._pod["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            return None
        started = datetime.fromisoformat(self._started_at)
        return max(0.0, float(deadline) - (datetime.now(UTC) - started).total_seconds())

    def _past_deadline(self) -> Ending:
        grace = float(self._pod["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE))
        message = "Pod was active on the node longer than the specified deadline"
        return Ending(grace, {"reason": "DeadlineExceeded", "message": message})

    async def _kill_when_gone(self) -> None:
        await self._reporter.gone.wait()
        if not self._ending.done():
            self._ending.set_result(Ending(0))
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _remove(self) -> None:
        delay = _FIRST_RETRY
        while not self.vanished:
            try:
                await self._launcher.api.remove(self._pod)
                return
            except ApiError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_RETRY)

    def _report(self, *, over: bool = False) -> None:
        init = [container.state for container in self.init]
        main = [container.state for container in self.main]
        if not over and main and all(isinstance(state, Terminated) for state in main):
            # Nothing is going to be started again, or it would be waiting.
            over = True
        phase = states.phase(init, main, over=over)
        if over and self._why:
            phase = "Failed"
        status = pod_status(
            self._pod,
            self._launcher.facts,
            self._started_at,
            phase,
            self.init,
            self.main,
            **(self._why if over else {}),
        )
        self._reporter.report(status)
