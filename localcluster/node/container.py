"""One container of a pod: its states over all of its runs, and what each run is started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.quantities import parse_memory
from localcluster.node.process import Process
from localcluster.node.states import State, Terminated, Waiting

TERMINATION_LOG = "/dev/termination-log"


class Container:
    """A container by its spec, with the folder that holds its logs and termination message."""

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.image: str = spec["image"]
        self.state: State = Waiting("ContainerCreating")
        self.last_state: Terminated | None = None
        self.process: Process | None = None
        self.runs = 0
        self._folder = folder

    @property
    def message_path(self) -> str:
        """Where the container believes its termination message goes."""
        return str(self.spec.get("terminationMessagePath") or TERMINATION_LOG)

    @property
    def message_file(self) -> Path:
        """Where it goes in truth."""
        return self._folder / "termination-log"

    @property
    def memory_limit(self) -> int | None:
        """In bytes."""
        limit = self.spec.get("resources", {}).get("limits", {}).get("memory")
        return None if limit is None else parse_memory(limit)

    def log(self, run: int) -> Path:
        """The output of its n-th run, from 0."""
        return self._folder / f"{run}.log"

    def status(self, *, main: bool) -> dict[str, Any]:
        """As in `containerStatuses`; only main containers count as ready."""
        state = self.state.to_json()
        running = "running" in state
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"local://{self.image}" if self.runs else "",
            "containerID": f"local://{self.name}-{self.runs - 1}" if self.runs else "",
            "state": state,
            "lastState": self.last_state.to_json() if self.last_state else {},
            "ready": running if main else isinstance(self.state, Terminated) and self.state.exit_code == 0,
            "started": running,
            "restartCount": max(0, self.runs - 1),
        }
