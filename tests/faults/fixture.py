"""The fixture `fault_proxy`; a conftest takes it by importing it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube import load_configuration
from tests.faults.proxy import FaultProxy


@pytest.fixture
async def fault_proxy(kubeconfig: Path) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the test run's API server that works until it is told otherwise."""
    upstream = await load_configuration(str(kubeconfig))
    async with FaultProxy.start(upstream) as proxy:
        yield proxy
