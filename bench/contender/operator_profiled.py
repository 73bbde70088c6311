"""The operator under cProfile: what a burst of jobs costs it, and where. The figures are for looking, not for goals.

On `measure` it writes what was seen since the last one to $BENCH_PROFILE.NUMBER, then begins anew.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import sys
import threading

from bench.contender.harness import Journal, arguments
from bench.contender.operator import work


def main() -> None:
    """Run the operator until the benchmark says quit."""
    options = arguments()
    journal = Journal(options.expect)

    async def profiled() -> None:
        loop = asyncio.get_running_loop()
        profile, number = cProfile.Profile(), 0

        def on_line(line: str) -> None:
            nonlocal profile, number
            if line == "measure":
                profile.disable()
                profile.dump_stats(f"{os.environ['BENCH_PROFILE']}.{number}")
                number += 1
                journal.measure()
                profile = cProfile.Profile()
                profile.enable()

        def read() -> None:
            for line in sys.stdin:
                if line.strip() == "quit":
                    break
                loop.call_soon_threadsafe(on_line, line.strip())
            os._exit(0)

        threading.Thread(target=read, name="benchmark", daemon=True).start()
        profile.enable()
        await work(options, journal)

    asyncio.run(profiled())


if __name__ == "__main__":
    main()
