"""Carrying out work orders in this process, with a zygote that the tests of one module share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from executor_image.attempt import Attempt
from executor_image.console import UserOutput
from executor_image.document import Run
from executor_image.failures import Failed
from executor_image.settings import Settings
from messages.failure import Failure
from messages.work import Stage, WorkOrder
from sandbox import Zygote


class Printed(UserOutput):
    """Keeps what the child prints, within the same bounds."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.content = b""

    def write(self, content: bytes) -> None:
        self.content += content


@dataclass
class Workplace:
    """Where attempts are carried out. `stages` and `printed` are those of the last one."""

    zygote: Zygote
    settings: Settings
    stages: list[tuple[Stage, int, int]] = field(default_factory=list)
    printed: Printed = field(default_factory=Printed)

    async def run(self, order: WorkOrder) -> Run:
        """Carry out `order`."""
        self.stages, self.printed = [], Printed()
        reach: Callable[[Stage, int, int], None] = lambda *reached: self.stages.append(reached)  # noqa: E731
        attempt = Attempt(self.settings, self.zygote, order, reach, console=self.printed)
        return await attempt.carry_out()

    async def failure(self, order: WorkOrder) -> Failure:
        """Carry out `order`, which must fail."""
        try:
            run = await self.run(order)
        except Failed as failed:
            return failed.failure
        raise AssertionError(f"it did not fail: {run}")


@asynccontextmanager
async def a_workplace(folder: Path) -> AsyncIterator[Workplace]:
    """Start a zygote and the settings of an executor around it."""
    (folder / "work").mkdir()
    (folder / "token").write_text("token-of-the-pod")
    settings = Settings.read(
        {
            "EXECUTOR_GATEWAY_URL": "https://127.0.0.1:1",
            "EXECUTOR_GATEWAY_CA": "none",
            "EXECUTOR_GATEWAY_SERVER_NAME": "none",
            "EXECUTOR_TOKEN_FILE": str(folder / "token"),
            "EXECUTOR_WORK_DIR": str(folder / "work"),
        }
    )
    preload, entry = "executor_image.child:preload", "executor_image.child:run"
    async with Zygote.start(preload=preload, entry=entry) as zygote:
        yield Workplace(zygote, settings)
