"""Where circuits run: the `Backend` contract, and one package for each provider.

Write a provider from `backends.contract` alone: its docstring has the rules. A backend knows nothing of
QiskitJobs' phases, and nothing here knows a reconciler.
"""

from backends.contract import (
    FINAL,
    Attempt,
    Backend,
    Capabilities,
    Cost,
    Estimate,
    Handle,
    Owner,
    Resources,
    Result,
    Slot,
    State,
    Status,
    Submission,
    Volume,
)
from backends.errors import BackendError, NoSuchExecution, ProviderUnavailable, Refused, SlotGone

__all__ = [
    "FINAL",
    "Attempt",
    "Backend",
    "BackendError",
    "Capabilities",
    "Cost",
    "Estimate",
    "Handle",
    "NoSuchExecution",
    "Owner",
    "ProviderUnavailable",
    "Refused",
    "Resources",
    "Result",
    "Slot",
    "SlotGone",
    "State",
    "Status",
    "Submission",
    "Volume",
]
