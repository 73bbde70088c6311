"""What a QiskitJob asks for: `spec`, with the rules that the API server itself enforces."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.block import Block, Duration, ObjectName, matching, rule, rules
from api.circuit_spec import CircuitSpec
from api.execution_spec import BackendReference, ExecutionSpec, ResourcesSpec


class BackoffSpec(Block):
    """How long to wait before the next attempt."""

    initial: Duration = "10s"
    """The wait before the first retry."""

    multiplier: Annotated[float, Field(ge=1, le=100)] = 2
    """What each further wait is multiplied by."""

    maximum: Duration = "5m"
    """The longest wait."""


class RetryPolicySpec(Block):
    """What happens when an attempt fails for a reason that another attempt can mend: a lost node, an
    evicted pod, a full quota. Errors of the circuit itself are never retried."""

    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    """Attempts after the first one; 0 makes the first failure final."""

    backoff: BackoffSpec = BackoffSpec()


class TimeoutsSpec(Block):
    """How long the job may wait. The run itself is limited by `execution.maxExecutionTime`."""

    pending: Duration = "10m"
    """The longest that the job waits in place for something that may yet come: a missing source, an image
    that cannot be pulled, a pod that no node has room for. Until then `status.reason` shows the cause;
    after that the job is Failed with it."""

    total: Duration | None = None
    """The longest that the job may take from its creation on, waiting and retries included. After that it
    is Failed with reason TotalTimeout. No limit unless given."""


class OutputSpec(Block):
    """Where the result goes. The document `results.json` is always written; `format` adds to it."""

    # The API server checks a block's default `{}` against these rules before it fills in the defaults inside,
    # hence has(self.type).
    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.type) || self.type != 'pvc' || has(self.location)",
                "type pvc needs location: the name of the PersistentVolumeClaim",
                field="location",
            ),
            rule(
                "!has(self.path) || (has(self.type) && self.type == 'pvc')",
                "path is a folder on a volume and goes with type pvc only",
                field="path",
            ),
        )
    )

    type: Literal["configmap", "pvc"] = "configmap"
    """`configmap`: a ConfigMap of the job's namespace, which holds up to 1 MiB. `pvc`: a folder of the
    job's own, `<job>-<uid>`, on a PersistentVolumeClaim."""

    location: ObjectName | None = None
    """For `configmap` its name, `<job>-results` unless given. For `pvc` the name of the claim. What is
    there and is not this job's is never overwritten: a result whose place is taken goes to the ConfigMap
    `result-<uid>`, and `status.results.location` says so."""

    path: (
        Annotated[
            str,
            matching(
                r"^[A-Za-z0-9._/-]+$",
                "must be a folder of letters, digits, '.', '_', '-' and '/', such as group-a/runs",
                rule("!self.split('/').exists(part, part == '..')", "must not lead out of the volume"),
                longest=512,
            ),
        ]
        | None
    ) = None
    """For `pvc`: the folder of the volume in which the job's own folder is made; the volume's root unless
    given."""

    format: Literal["json", "pickle", "qpy", "csv"] = "json"
    """What is written besides `results.json`: `csv` adds results.csv (the counts), `pickle` adds
    results.pickle (the same document for Python), `qpy` adds circuit.qpy (the circuits as they were
    run)."""

    retention: Literal["delete", "retain"] = "delete"
    """`delete`: the result's ConfigMap goes with the job. `retain`: it stays, labelled with the job's UID.
    Files on a volume stay either way."""


def _fixed(*blocks: str) -> tuple[dict[str, Any], ...]:
    """One transition rule for each block, so that an error names the block that was changed."""
    return tuple(
        rule(
            f"has(self.{block}) == has(oldSelf.{block}) && "
            f"(!has(self.{block}) || self.{block} == oldSelf.{block})",
            f"{block} cannot be changed once the job exists: create a new job",
            field=block,
        )
        for block in blocks
    )


class QiskitJobSpec(Block):
    """What to run, where, and what to do with the result. It cannot be changed once the job exists, except
    for `suspend`, `cancel` and `ttlSecondsAfterFinished`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *_fixed("backend", "circuit", "execution", "resources", "retryPolicy", "timeouts", "output"),
            rule(
                "!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)",
                "cancel cannot be taken back: create a new job",
                field="cancel",
            ),
        )
    )

    backend: BackendReference

    circuit: CircuitSpec

    execution: ExecutionSpec = ExecutionSpec()
    """How the circuits are run: shots, optimization, seeds, method, noise, and the time that it may
    take."""

    resources: ResourcesSpec | None = None

    retry_policy: RetryPolicySpec = RetryPolicySpec()

    timeouts: TimeoutsSpec = TimeoutsSpec()

    suspend: bool = False
    """true keeps the job Pending. Set on a job that runs, it ends the attempt's pod, which does not count
    as a retry; set back to false, the job starts anew."""

    cancel: bool | None = None
    """true ends the job for good, phase Cancelled; it cannot be taken back. Deleting the job ends it too,
    and removes its record."""

    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Seconds after its end at which the job is deleted, with its pods and the results that it owns. Never
    unless given."""

    output: OutputSpec = OutputSpec()
    """Where the result goes."""
