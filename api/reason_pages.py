"""The pages about reasons: docs/errors.md tells what to do, docs/reference/reasons.md is the table of all."""

from __future__ import annotations

from collections.abc import Iterator

from api.reasons import REASONS, Recovery

_INTRODUCTION = """\
# When a job fails

`kubectl get` shows how far a job has come, and with `-o wide` the reason:

```console
$ kubectl get qjob -o wide
NAME   PHASE    BACKEND           SHOTS   QUBITS   DEPTH   DURATION   REASON          AGE
bell   Failed                     1024                     1.4s       UserCodeError   8s
```

The message has the line of your code and the end of its traceback:

```sh
kubectl get qjob bell -o jsonpath='{.status.message}{"\\n"}'
```

The events tell the story, and the pod has the log of the run; it stays until the job is deleted (a job
that failed before it had a pod has no log, nor has one that was cancelled or suspended, whose pod went with that; and
of a name above 63 characters the label has the first 63):

```sh
kubectl describe qjob bell
kubectl logs -l quantum.io/job-name=bell --tail=-1
```

A job cannot be changed. Correct the manifest, delete the job, and apply it again:

```sh
kubectl delete qjob bell
kubectl apply -f bell.yaml
```

Where the API server refuses a manifest outright, its message names the field; nothing was created.

What follows lists every reason, with its remedy."""

_GROUPS = {
    Recovery.PERMANENT: (
        "Failed at once",
        "Another attempt would end in the same way, so none is made.",
    ),
    Recovery.AFTER_PENDING: (
        "Waiting for what may yet come",
        "The job waits in place and shows the reason. At `timeouts.pending`, 10 minutes unless you set it, it is "
        "Failed with it.",
    ),
    Recovery.RETRIED: (
        "Retried by itself",
        "Another attempt follows under `retryPolicy`, and `status.nextRetryAt` says when. After the last one the "
        "job is Failed with the reason.",
    ),
    Recovery.NO_FAILURE: (
        "No failure",
        "The job is where its user or its queue wants it.",
    ),
}


def errors_page() -> str:
    """What to do about a failed job: how to look, and a section for each reason."""
    lines = [_INTRODUCTION]
    for recovery, (title, text) in _GROUPS.items():
        lines += ["", f"## {title}", "", text]
        for reason in _of(recovery):
            lines += [
                "",
                f"### {reason}",
                "",
                REASONS[reason].meaning,
                "",
                f"*What to do:* {REASONS[reason].remedy}",
            ]
    return "\n".join(lines) + "\n"


def reasons_page() -> str:
    """Every `status.reason` in a table, with what follows it."""
    lines = [
        "# Reasons",
        "",
        "`status.reason` of a QiskitJob is one of these words. They do not change between releases, so that",
        "scripts and alerts can match on them; `status.message` has the details, and",
        "[errors.md](../errors.md) what to do.",
        "",
        "- **permanent**: the job is Failed at once.",
        "- **waits**: the job waits in place until `timeouts.pending`, then it is Failed.",
        "- **retried**: another attempt follows under `retryPolicy`; after the last one the job is Failed.",
        "- **no failure**: the job is where its user or its queue wants it.",
        "",
        "| reason | what follows | meaning |",
        "|---|---|---|",
    ]
    for recovery in Recovery:
        lines += [
            f"| [`{reason}`](../errors.md#{reason.lower()}) | {recovery} | {REASONS[reason].meaning} |"
            for reason in _of(recovery)
        ]
    return "\n".join(lines) + "\n"


def _of(recovery: Recovery) -> Iterator[str]:
    return (reason for reason, text in REASONS.items() if text.recovery is recovery)
