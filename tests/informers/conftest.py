"""A scripted server for each test, and the proxy in front of the real one."""

import pytest

from tests.faults.fixture import fault_proxy
from tests.informers.scripted import ScriptedServer

__all__ = ["fault_proxy"]


@pytest.fixture
def server() -> ScriptedServer:
    """A server that plays what it is told and writes down what it is asked."""
    return ScriptedServer()
