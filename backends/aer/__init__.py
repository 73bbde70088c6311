"""Qiskit Aer in pods of the job's namespace: cold ones made for an attempt, and warm ones that wait.

names.py      what a pod is called
pods.py       the manifest of an executor's pod
warm.py       which waiting pod fits an attempt, and the patch that claims it
refusals.py   what the API server's refusal of a pod means
observation.py  how far a pod is
backend.py    the `Backend` itself
"""

from backends.aer.backend import AerBackend
from backends.aer.pods import AerSettings, GatewayAccess

__all__ = ["AerBackend", "AerSettings", "GatewayAccess"]
