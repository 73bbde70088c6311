"""How long warm executors take for a Bell pair, from hand-out to hand-in: `python -m tests.executor.measure_warm`.

Prints milliseconds: quartiles over 20 executors of the whole way, and of its steps as the results tell them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.executor.authority import SERVER_NAME, Authority, make_authority
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import an_order
from tests.executor.process import start_executor

EXECUTORS = 20
SETTLING_SECONDS = 0.2


async def measure(authority: Authority) -> dict[str, float]:
    """One executor's times in milliseconds."""
    gateway = GatewayStub(authority)
    await gateway.open()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(gateway.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started = time.perf_counter()
        executor = await start_executor(stack, gateway, folder, None, {})
        await gateway.until(lambda: "/v1/work" in gateway.requests)
        ready = time.perf_counter() - started
        await asyncio.sleep(SETTLING_SECONDS)
        gateway.order = an_order()
        assert (await executor.ended()).code == 0
        execution = json.loads(gateway.results[0].document)["execution"]
    steps = {step: execution[f"{step}_time_seconds"] * 1000 for step in ("build", "transpile", "execution")}
    return {"start": ready * 1000, "warm job": (gateway.handed_in - gateway.handed_out) * 1000, **steps}


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        authority = make_authority(Path(folder), SERVER_NAME)
    measured = [await measure(authority) for _ in range(EXECUTORS)]
    for name in measured[0]:
        quartiles = statistics.quantiles((one[name] for one in measured), n=4)
        print(f"{name:10} {' / '.join(f'{value:7.1f}' for value in quartiles)} ms")


if __name__ == "__main__":
    asyncio.run(main())
