"""Why an attempt ended or does not begin, read from its pod alone. Pure.

what is there                                   class
report with a reason that no retry can mend     that reason
pod reason or disruption by the cluster         PodEvicted, NodeLost, ExecutionTimeout
report with any other reason                    that reason
OOMKilled                                       OutOfMemory
exit code of messages.failure                   its reason
container that its node lost sight of           NodeLost
deleted by somebody                             ExecutorLost
exit code 0 (and no result)                     ExecutorLost
any other exit code, signal                     ExecutorCrashed
no container status at all                      ExecutorLost
"""

from __future__ import annotations

import re
import signal
from typing import NamedTuple

import msgspec

from api.reasons import REASONS, Reason, is_retried
from api.views import CircuitMetadata
from backends.aer.observation import container_state
from kube import Pod, Terminated
from messages.failure import REASONS_BY_EXIT_CODE, Failure, account
from messages.unreadable import UNREADABLE
from reconcilers.job.sizing import large_state

MESSAGE_LIMIT = 4096
"""Characters of a status message: as much as a termination message holds."""


class Ending(NamedTuple):
    """Why, in one word of api.reasons and in one line."""

    reason: str
    message: str


_POD_REASONS = {
    "Evicted": Reason.POD_EVICTED,
    "Preempting": Reason.POD_EVICTED,
    # The kubelet had no room after all: the scheduler's view of the node was old.
    "OutOfcpu": Reason.POD_EVICTED,
    "OutOfmemory": Reason.POD_EVICTED,
    "OutOfpods": Reason.POD_EVICTED,
    "NodeAffinity": Reason.POD_EVICTED,
    "UnexpectedAdmissionError": Reason.POD_EVICTED,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "Shutdown": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
    "DeadlineExceeded": Reason.EXECUTION_TIMEOUT,
}
_OUT_OF_SIGHT = frozenset({"ContainerStatusUnknown", "Unknown"})
"""What a kubelet, and containerd, say of a container that they find gone after their node went down: exit codes
137 and 255 are made up then."""

_NODE_GONE = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_IMAGE_PROBLEMS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_VARYING = re.compile(r"\w*\d\w*")
"""Words that have a digit in them."""

_ORDINARY_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})


def ending_of(pod: Pod) -> Ending:
    """Why a pod that has finished, or is being taken away, brought no result."""
    terminated = container_state(pod).terminated
    report = _report(terminated)
    disruption = disruption_of(pod)
    if report is not None and not is_retried(report.reason):
        return report
    if disruption is not None:
        return disruption
    if report is not None:
        return report
    if terminated is None:
        return Ending(
            Reason.EXECUTOR_LOST, _line("the pod ended without a word", pod.status.reason, pod.status.message)
        )
    return _ending_without_report(pod, terminated)


def disruption_of(pod: Pod) -> Ending | None:
    """What the cluster did to the pod, if it did anything."""
    reason = _POD_REASONS.get(pod.status.reason)
    if reason is not None:
        return Ending(reason, _line("the pod was ended", pod.status.reason, pod.status.message))
    for condition in pod.status.conditions:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            lost = condition.reason in _NODE_GONE
            return Ending(
                Reason.NODE_LOST if lost else Reason.POD_EVICTED,
                _line(
                    "the pod's node was lost" if lost else "the pod was evicted",
                    condition.reason,
                    condition.message,
                ),
            )
    return None


def waiting_cause(pod: Pod, circuit: CircuitMetadata | None = None) -> Ending | None:
    """Why a pod that is pending does not begin to run; None while everything takes its usual course."""
    waiting = container_state(pod).waiting
    if waiting is not None and waiting.reason in _IMAGE_PROBLEMS:
        return Ending(
            Reason.IMAGE_PULL_FAILED, _line("the image cannot be pulled", waiting.reason, waiting.message)
        )
    if waiting is not None and waiting.reason not in _ORDINARY_WAITS:
        return Ending(Reason.PENDING_TIMEOUT, _line("the pod cannot start", waiting.reason, waiting.message))
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            need = large_state(circuit)
            what = "no node takes the pod" if need is None else f"{need}: no node takes the pod"
            return Ending(Reason.UNSCHEDULABLE, _line(what, condition.reason, condition.message))
    return None


def says_the_same(one: str, other: str) -> bool:
    """Whether two messages of others name one cause: ports, durations and IDs are told anew with every try."""
    return _VARYING.sub("", one) == _VARYING.sub("", other)


def _report(terminated: Terminated | None) -> Ending | None:
    """What the executor itself said, if it did and we know the word."""
    if terminated is None or not terminated.message:
        return None
    try:
        failure = msgspec.json.decode(terminated.message, type=Failure)
    except UNREADABLE:
        return None
    if failure.reason not in REASONS:
        return None
    message = account(failure.message, failure.line, failure.traceback)
    return Ending(failure.reason, message[:MESSAGE_LIMIT])


def _ending_without_report(pod: Pod, terminated: Terminated) -> Ending:
    code = terminated.exit_code
    if terminated.reason == "OOMKilled":
        return Ending(Reason.OUT_OF_MEMORY, "the executor used more memory than its limit and was killed")
    if code in REASONS_BY_EXIT_CODE:
        return Ending(REASONS_BY_EXIT_CODE[code], f"the executor ended with exit code {code} and no report")
    if terminated.reason in _OUT_OF_SIGHT:
        return Ending(
            Reason.NODE_LOST,
            _line("the node lost sight of the executor", terminated.reason, terminated.message),
        )
    if pod.metadata.deletion_timestamp is not None:
        return Ending(Reason.EXECUTOR_LOST, f"pod {pod.metadata.name} was deleted while it ran")
    if code == 0:
        return Ending(Reason.EXECUTOR_LOST, "the executor ended without handing in a result")
    number = terminated.signal or (code - 128 if 128 < code < 128 + signal.NSIG else 0)
    if number:
        return Ending(Reason.EXECUTOR_CRASHED, f"the executor was ended by {_signal_name(number)}")
    return Ending(
        Reason.EXECUTOR_CRASHED,
        _line(f"the executor ended with exit code {code}", terminated.reason, terminated.message),
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line(what: str, reason: str, message: str) -> str:
    said = ": ".join(part for part in (reason, message.strip()) if part)
    return (f"{what} ({said})" if said else what)[:MESSAGE_LIMIT]
