"""A namespace with everything around the job reconciler but the reconciler itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from api.views import QiskitJob
from kube import Client
from tests.faults.fixture import fault_proxy
from tests.reconcilers.fake_node import InstantNode
from tests.reconcilers.operating import Operator, create_job, get_job, in_phase
from tests.reconcilers.validation_stub import ValidationStub


@pytest.fixture(scope="module", autouse=True)
def quiet_logs() -> Iterator[None]:
    """Processes that are made to die log much, and structlog draws every traceback with all its locals.

    For a module, so that what tests elsewhere look for in logs is there.
    """
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


__all__ = ["fault_proxy"]


@dataclass
class Stage:
    """A namespace with an instant node and a validation service; operators come and go."""

    client: Client
    namespace: str
    node: InstantNode
    validation: ValidationStub

    def operator(self, **options: Any) -> AbstractAsyncContextManager[Operator]:
        return Operator.start(self.client, self.namespace, self.validation.url, **options)

    async def create(self, name: str, **spec: Any) -> QiskitJob:
        return await create_job(self.client, self.namespace, name, **spec)

    async def job(self, name: str) -> QiskitJob:
        return await get_job(self.client, self.namespace, name)

    async def until(self, name: str, *phases: str, seconds: float = 90.0) -> QiskitJob:
        return await in_phase(self.client, self.namespace, name, *phases, seconds=seconds)


@pytest.fixture
async def validation() -> AsyncIterator[ValidationStub]:
    async with ValidationStub().serving() as stub:
        yield stub


@pytest.fixture
async def node(crds: None, client: Client, namespace: str) -> AsyncIterator[InstantNode]:
    serving = InstantNode(client, namespace)
    task = asyncio.create_task(serving.run())
    yield serving
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stage(client: Client, namespace: str, node: InstantNode, validation: ValidationStub) -> Stage:
    return Stage(client, namespace, node, validation)
