"""Every reason that a job's status can give, whether another attempt follows, and what its user can do.

`status.reason` is an interface: scripts and alerts match on it, so a reason is never renamed. The tables of
docs/reference/reasons.md and the remedies of docs/errors.md are made from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Recovery(StrEnum):
    """What follows a reason."""

    PERMANENT = "permanent"
    """The job is Failed: another attempt would end in the same way."""
    AFTER_PENDING = "waits"
    """The job waits in place and shows the reason; at `timeouts.pending` it is Failed."""
    RETRIED = "retried"
    """Another attempt follows under `retryPolicy`; after the last one the job is Failed."""
    NO_FAILURE = "no failure"
    """The job is where its user or its queue wants it."""


class Reason(StrEnum):
    """Values of `status.reason` of a QiskitJob."""

    INVALID_SPEC = "InvalidSpec"
    BACKEND_NOT_FOUND = "BackendNotFound"
    INSUFFICIENT_RESOURCES = "InsufficientResources"
    OUTPUT_CONFLICT = "OutputConflict"
    SOURCE_FORBIDDEN = "SourceForbidden"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_CHANGED = "SourceChanged"
    CIRCUIT_SYNTAX_ERROR = "CircuitSyntaxError"
    CIRCUIT_INVALID = "CircuitInvalid"
    NO_CIRCUIT = "NoCircuit"
    NO_MEASUREMENT = "NoMeasurement"
    USER_CODE_ERROR = "UserCodeError"
    USER_CODE_EXITED = "UserCodeExited"
    EXECUTION_TIMEOUT = "ExecutionTimeout"
    TOTAL_TIMEOUT = "TotalTimeout"
    OUT_OF_MEMORY = "OutOfMemory"
    RESULT_TOO_LARGE = "ResultTooLarge"
    EXECUTOR_CRASHED = "ExecutorCrashed"
    SANDBOX_UNAVAILABLE = "SandboxUnavailable"
    POD_REJECTED = "PodRejected"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    PENDING_TIMEOUT = "PendingTimeout"
    POD_EVICTED = "PodEvicted"
    NODE_LOST = "NodeLost"
    EXECUTOR_LOST = "ExecutorLost"
    QUOTA_EXCEEDED = "QuotaExceeded"
    GATEWAY_UNAVAILABLE = "GatewayUnavailable"
    VALIDATION_UNAVAILABLE = "ValidationUnavailable"
    PROVIDER_UNAVAILABLE = "ProviderUnavailable"
    QUEUED = "Queued"
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """What a reason means and what its user can do about it, one line of Markdown each."""

    recovery: Recovery
    meaning: str
    remedy: str


_P, _W, _R, _N = Recovery.PERMANENT, Recovery.AFTER_PENDING, Recovery.RETRIED, Recovery.NO_FAILURE

REASONS: Mapping[str, ReasonText] = {
    Reason.INVALID_SPEC: ReasonText(
        _P,
        "The spec is well-formed but asks for something that cannot be, such as an unknown noise model.",
        "Read `status.message`, which names the field and what it may hold; create a new job.",
    ),
    Reason.BACKEND_NOT_FOUND: ReasonText(
        _P,
        "`backend.name` names no QiskitBackend of the job's namespace.",
        "List them with `kubectl get qbackend`, or leave `backend.name` out to use the operator's defaults.",
    ),
    Reason.INSUFFICIENT_RESOURCES: ReasonText(
        _P,
        "The memory limit cannot hold the circuit's state, or the circuit is larger than the backend takes.",
        "Raise `resources.limits.memory` to what the message says, choose another `execution.method`, "
        "or use fewer qubits.",
    ),
    Reason.OUTPUT_CONFLICT: ReasonText(
        _P,
        "The place named by `output.location` holds something that is not this job's, or the cluster refused the "
        "result's ConfigMap: a quota, or an admission webhook.",
        "Choose another `output.location`, or delete what is there; nothing was overwritten. A refusal by the cluster "
        "is told in its own words: have the quota raised, or free it, and create a new job. A result that was refused "
        "is in the log of the executor's pod (`kubectl logs`).",
    ),
    Reason.SOURCE_FORBIDDEN: ReasonText(
        _P,
        "The URL or repository is one that the operator may not fetch: not https, or a private address; or the cluster "
        "refused the ConfigMap that keeps what was fetched.",
        "Use a public https address or a ConfigMap; the administrator can allow a host with `VALIDATION_ALLOW` of "
        "the validation service (see the installation page). A refusal by the cluster is told in its own words.",
    ),
    Reason.SOURCE_NOT_FOUND: ReasonText(
        _W,
        "There is no such ConfigMap, key, URL, branch or file.",
        "Create it, and the job goes on by itself; or correct the reference in a new job.",
    ),
    Reason.SOURCE_CHANGED: ReasonText(
        _P,
        "The circuit's source is no longer the one that was validated.",
        "Create a new job to run what the source says now; an immutable ConfigMap rules this out.",
    ),
    Reason.CIRCUIT_SYNTAX_ERROR: ReasonText(
        _P,
        "The source cannot be parsed; the message has the line.",
        "Correct the line, or set `circuit.format` if it was taken for another language.",
    ),
    Reason.CIRCUIT_INVALID: ReasonText(
        _P,
        "The source was read, but what it builds cannot be run, for example with unbound parameters.",
        "Correct the circuit; unbound parameters get their values in `circuit.parameters`.",
    ),
    Reason.NO_CIRCUIT: ReasonText(
        _P,
        "The code ran and left no circuit behind.",
        "Bind a QuantumCircuit to `qc`, or name the variable or function in `circuit.entrypoint`.",
    ),
    Reason.NO_MEASUREMENT: ReasonText(
        _P,
        "The circuit measures nothing, so there would be nothing to count.",
        "Add `qc.measure_all()` or measure into a classical register.",
    ),
    Reason.USER_CODE_ERROR: ReasonText(
        _P,
        "The code raised an exception; the message has its line and the end of its traceback.",
        "Correct the code. Only Qiskit, NumPy and SciPy are there, and there is no network.",
    ),
    Reason.USER_CODE_EXITED: ReasonText(
        _P,
        "The code ended its own process, for example with `sys.exit()`.",
        "Let the code run to its end; the circuit that it leaves behind is what is run.",
    ),
    Reason.EXECUTION_TIMEOUT: ReasonText(
        _P,
        "One attempt took longer than `execution.maxExecutionTime`.",
        "Raise the limit, or use fewer qubits, shots or parameter sets.",
    ),
    Reason.TOTAL_TIMEOUT: ReasonText(
        _P,
        "The job as a whole took longer than `timeouts.total`, waiting and retries included.",
        "Raise the limit, or see in the events what it waited for.",
    ),
    Reason.OUT_OF_MEMORY: ReasonText(
        _P,
        "The attempt was ended because it used more memory than its limit.",
        "Raise `resources.limits.memory`, or choose a method that needs less (see the limits page).",
    ),
    Reason.RESULT_TOO_LARGE: ReasonText(
        _P,
        "The result is larger than a ConfigMap can hold, even compressed; or its counts take more than the 64 MiB "
        "that one job may have, on a volume too.",
        "Use `output.type: pvc` for what a ConfigMap cannot hold; beyond 64 MiB use fewer circuits, shots or measured "
        "bits in one job.",
    ),
    Reason.EXECUTOR_CRASHED: ReasonText(
        _P,
        "The process that ran the circuit was ended by a signal that nobody here sent.",
        "Look at `kubectl logs` of the pod; the cause is most often native code in the circuit's source.",
    ),
    Reason.SANDBOX_UNAVAILABLE: ReasonText(
        _P,
        "The node cannot put up one of the layers that shut user code in.",
        "Use another node, or let the administrator relax the layer that the message names.",
    ),
    Reason.POD_REJECTED: ReasonText(
        _P,
        "The cluster refused the executor's pod: Pod Security, a LimitRange or an admission webhook.",
        "The message is the cluster's own; change `resources`, or ask the namespace's administrator.",
    ),
    Reason.UNSCHEDULABLE: ReasonText(
        _W,
        "No node has room for the executor's pod, or the PersistentVolumeClaim of `output.location` is not there.",
        "Wait for room, ask for less in `resources.requests`, or add a node; or create the claim.",
    ),
    Reason.IMAGE_PULL_FAILED: ReasonText(
        _W,
        "The node cannot pull the executor's image.",
        "Check the backend's `image` and the node's access to its registry.",
    ),
    Reason.PENDING_TIMEOUT: ReasonText(
        _P,
        "The pod did not begin to run within `timeouts.pending`, and gave no cause that has a name here.",
        "See `kubectl describe pod` of the executor's pod.",
    ),
    Reason.POD_EVICTED: ReasonText(
        _R,
        "The pod was evicted or preempted by the cluster.",
        "Nothing to do; a higher `execution.priority` makes it rarer.",
    ),
    Reason.NODE_LOST: ReasonText(
        _R,
        "The node that ran the pod is gone or does not answer.",
        "Nothing to do.",
    ),
    Reason.EXECUTOR_LOST: ReasonText(
        _R,
        "The pod vanished or ended without a result or a report.",
        "Nothing to do; if it comes again, look at `kubectl logs` of the pod.",
    ),
    Reason.QUOTA_EXCEEDED: ReasonText(
        _R,
        "The namespace's ResourceQuota has no room for another pod, or for the ConfigMap of a fetched source.",
        "Wait for other jobs to end, ask for less, or have the quota raised.",
    ),
    Reason.GATEWAY_UNAVAILABLE: ReasonText(
        _R,
        "The executor could not reach the operator to get its work or to hand in its result.",
        "Nothing to do; if it comes again, check the operator's Service and network policies.",
    ),
    Reason.VALIDATION_UNAVAILABLE: ReasonText(
        _R,
        "The validation service does not answer.",
        "Nothing to do; if it comes again, check the service's Deployment.",
    ),
    Reason.PROVIDER_UNAVAILABLE: ReasonText(
        _R,
        "The host of the URL or repository does not answer, or answers with an error of its own; or the cluster "
        "does not answer properly to the executor's pod, which the attempt waits for until `timeouts.pending`.",
        "Nothing to do; if it comes again, check the address, or the admission webhook that the message names.",
    ),
    Reason.QUEUED: ReasonText(
        _N,
        "The backend runs as many jobs as it may; `status.queuePosition` is the job's place in line, 1 being next.",
        "Wait, or raise the backend's `limits.concurrentJobs`.",
    ),
    Reason.SUSPENDED: ReasonText(
        _N,
        "The job waits because `suspend` is true.",
        '`kubectl patch qjob NAME --type=merge -p \'{"spec":{"suspend":false}}\'`',
    ),
    Reason.CANCELLED: ReasonText(
        _N,
        "The job was ended because `cancel` is true.",
        "Create a new job to run it after all.",
    ),
}


def is_retried(reason: str) -> bool:
    """Whether another attempt can mend what went wrong; False for a reason that is not known."""
    text = REASONS.get(reason)
    return text is not None and text.recovery is Recovery.RETRIED
