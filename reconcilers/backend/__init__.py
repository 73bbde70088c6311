"""QiskitBackend: its warm pool, and what its status says of it.

pool.py        which pods to start and to end; pure
statuses.py    what the status says; pure
cooling.py     how long to leave a pool alone whose pods break
reconciler.py  carries it out; triggers.py says when there is something to do
"""

from reconcilers.backend.reconciler import BackendReconciler
from reconcilers.backend.triggers import connect

__all__ = ["BackendReconciler", "connect"]
