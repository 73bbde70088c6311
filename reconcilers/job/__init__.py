"""QiskitJob: from a spec to a stored result.

machine.py      the state machine; starting.py and running.py are its two halves
world.py        what it looks at; decisions.py what it may answer
statuses.py     what each step writes; accounts.py what it says of a run
failures.py     why an attempt ended
sizing.py       what a pod asks for; submissions.py the message that starts an attempt
places.py       who may run when not all may; slots.py who gets a warm pod
reconciler.py   carries steps out; triggers.py says when there is something to do
sources.py      reads and validates circuits, as errands.py beside the passes, through validation.py
"""

from reconcilers.job.indexes import (
    JOB_INDEXERS,
    POD_INDEXERS,
    POD_SELECTOR,
    RESULT_INDEXERS,
    RESULT_SELECTOR,
    lean,
)
from reconcilers.job.reconciler import JobReconciler
from reconcilers.job.settings import JobSettings
from reconcilers.job.sources import Examiner
from reconcilers.job.triggers import connect
from reconcilers.job.validation import ValidationService

__all__ = [
    "JOB_INDEXERS",
    "POD_INDEXERS",
    "POD_SELECTOR",
    "RESULT_INDEXERS",
    "RESULT_SELECTOR",
    "Examiner",
    "JobReconciler",
    "JobSettings",
    "ValidationService",
    "connect",
    "lean",
]
