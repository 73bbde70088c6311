"""The proxy in front of the real API server."""

from tests.faults.fixture import fault_proxy

__all__ = ["fault_proxy"]
