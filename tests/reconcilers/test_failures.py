"""What a pod says about the end of its attempt, in one word."""

from __future__ import annotations

import msgspec
import pytest

from api.reasons import REASONS
from api.views import CircuitMetadata
from messages.failure import EXIT_CODES, ExecutorReason, Failure
from reconcilers.job.failures import MESSAGE_LIMIT, ending_of, waiting_cause
from tests.reconcilers.builders import PodBuilder, a_pod


def a_report(reason: str, code: int = 64, **more: object) -> PodBuilder:
    body = {"reason": reason, "message": "so it is", **more}
    return a_pod().ended(code, reason="Error", message=msgspec.json.encode(body).decode())


@pytest.mark.parametrize("reason", ExecutorReason)
def test_every_report_of_an_executor_is_understood(reason: ExecutorReason) -> None:
    pod = a_report(reason, EXIT_CODES[reason])
    assert ending_of(pod.view) == (reason, "so it is")


@pytest.mark.parametrize("reason", ExecutorReason)
def test_an_exit_code_stands_in_for_a_report_that_was_not_written(reason: ExecutorReason) -> None:
    assert ending_of(a_pod().ended(EXIT_CODES[reason]).view).reason == reason


def test_a_report_names_the_line_and_shows_the_traceback() -> None:
    pod = a_report("UserCodeError", line=3, traceback="Traceback…\nZeroDivisionError: division by zero")
    assert ending_of(pod.view).message == (
        "line 3: so it is\nTraceback…\nZeroDivisionError: division by zero"
    )


def test_a_report_names_the_line_once_and_steers_no_terminal() -> None:
    pod = a_report("UserCodeError", line=3, message="ValueError: no (line 3)", traceback="\x1b[2J\tE: no")
    assert ending_of(pod.view).message == "ValueError: no (line 3)\n�[2J\tE: no"
    other = a_report("UserCodeError", line=3, message="ValueError: no (line 30)")
    assert ending_of(other.view).message == "line 3: ValueError: no (line 30)"


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        pytest.param(a_pod().ended(137, reason="OOMKilled"), "OutOfMemory", id="memory limit"),
        pytest.param(a_pod().ended(139), "ExecutorCrashed", id="segmentation fault"),
        pytest.param(a_pod().ended(137), "ExecutorCrashed", id="killed by nobody we know"),
        pytest.param(a_pod().ended(0, signal=9), "ExecutorLost", id="exit code 0 whatever else"),
        pytest.param(a_pod().ended(1, signal=11), "ExecutorCrashed", id="the runtime names the signal"),
        pytest.param(a_pod().ended(127, reason="ContainerCannotRun"), "ExecutorCrashed", id="no program"),
        pytest.param(a_pod().ended(143).deleted(), "ExecutorLost", id="somebody deleted the pod"),
        pytest.param(a_pod().ended(255, reason="Unknown"), "NodeLost", id="node that came back"),
        pytest.param(
            a_pod().ended(137, reason="ContainerStatusUnknown", message="could not be located"),
            "NodeLost",
            id="container that the kubelet cannot find",
        ),
        pytest.param(a_pod().ended(0), "ExecutorLost", id="no result"),
        pytest.param(a_pod().with_status(phase="Failed"), "ExecutorLost", id="no word at all"),
        pytest.param(
            a_pod().ended(137).with_status(reason="Evicted"), "PodEvicted", id="evicted, and killed for it"
        ),
        pytest.param(
            a_pod().with_status(phase="Failed", reason="OutOfcpu"), "PodEvicted", id="no room after all"
        ),
        pytest.param(
            a_pod().with_status(phase="Failed", reason="NodeShutdown"), "NodeLost", id="node shut down"
        ),
        pytest.param(
            a_pod().with_status(phase="Failed", reason="DeadlineExceeded"), "ExecutionTimeout", id="deadline"
        ),
        pytest.param(a_pod().ended(143).disrupted("PreemptionByScheduler"), "PodEvicted", id="preempted"),
        pytest.param(a_pod().ended(143).disrupted("DeletionByTaintManager"), "NodeLost", id="tainted"),
        pytest.param(a_pod().ended(143).disrupted("DeletionByPodGC"), "NodeLost", id="node object gone"),
        pytest.param(
            a_report("UserCodeError").disrupted("EvictionByEvictionAPI"),
            "UserCodeError",
            id="a user's error stays one, evicted or not",
        ),
        pytest.param(
            a_report("GatewayUnavailable").disrupted("EvictionByEvictionAPI"),
            "PodEvicted",
            id="an eviction explains what else went wrong",
        ),
        pytest.param(
            a_pod().ended(1, message="not JSON"), "ExecutorCrashed", id="a report that cannot be read"
        ),
        pytest.param(
            a_pod().ended(1, message='{"reason":"NoCircuit","message":"x","more":' + "[" * 4000),
            "ExecutorCrashed",
            id="a report that is nested without end",
        ),
        pytest.param(a_report("InventedReason", code=1), "ExecutorCrashed", id="a reason that is not known"),
    ],
)
def test_the_class_of_an_end(pod: PodBuilder, reason: str) -> None:
    ending = ending_of(pod.view)
    assert ending.reason == reason
    assert ending.reason in REASONS
    assert ending.message


def test_a_crash_names_the_signal() -> None:
    assert "SIGSEGV" in ending_of(a_pod().ended(139).view).message
    assert "signal 63" in ending_of(a_pod().ended(128 + 63).view).message


def test_messages_are_bounded() -> None:
    report = Failure(reason="UserCodeError", message="x" * 10_000, traceback="y" * 10_000)
    pod = a_pod().ended(70, message=msgspec.json.encode(report).decode())
    assert len(ending_of(pod.view).message) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (a_pod(), None),
        (a_pod().waiting("ContainerCreating"), None),
        (a_pod().waiting("PodInitializing"), None),
        (a_pod().waiting("ErrImagePull"), "ImagePullFailed"),
        (a_pod().waiting("InvalidImageName"), "ImagePullFailed"),
        (a_pod().waiting("CreateContainerConfigError", "no such secret"), "PendingTimeout"),
        (a_pod().unschedulable("0/3 nodes are available: insufficient memory"), "Unschedulable"),
    ],
)
def test_what_holds_a_pod_up(pod: PodBuilder, reason: str | None) -> None:
    cause = waiting_cause(pod.view)
    assert (cause.reason if cause else None) == reason


def test_a_pod_that_no_node_takes_says_what_its_circuit_needs() -> None:
    pod = a_pod().unschedulable("0/3 nodes are available: 3 Insufficient memory.")
    circuit = CircuitMetadata(qubits=40, method="statevector", memory_bytes=16 << 40)
    cause = waiting_cause(pod.view, circuit)
    assert cause is not None
    assert cause.message.startswith(
        "40 qubits with method statevector need 16Ti of memory; another spec.execution.method"
    )
    assert cause.message.endswith("(Unschedulable: 0/3 nodes are available: 3 Insufficient memory.)")
    small = waiting_cause(pod.view, CircuitMetadata(qubits=2, method="stabilizer", memory_bytes=3))
    assert small is not None
    assert small.message.startswith("no node takes the pod")
