"""The fixture `fault_proxy`; a conftest takes it by importing it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube import load_configuration
from tests.faults.proxy import FaultProxy


@pytest.fixture
async def fault_proxy(kubeconfig: Path) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the test run's API server that works until it is told otherwise.

        async def test_a_cut_watch_loses_nothing(client, fault_proxy, namespace):
            async with Client(fault_proxy.configuration, user_agent="test") as proxied:
                rule = fault_proxy.faults.add(Cut(), when=Matching(path="/pods"), times=2)
                ...                                   # what is under test uses `proxied`, the test `client`
                assert rule.acted == 2
                fault_proxy.faults.clear()            # from here on everything works

    `fault_proxy.seen` lists the requests that came by, `fault_proxy.cut_all()` breaks all that are open. The
    faults are in tests.faults.rules. A package's conftest takes the fixture with

        from tests.faults.fixture import fault_proxy

        __all__ = ["fault_proxy"]
    """
    upstream = await load_configuration(str(kubeconfig))
    async with FaultProxy.start(upstream) as proxy:
        yield proxy
