"""Where `up` keeps its cluster: the folder `.local` of the checkout, and whose process it belongs to."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

DEFAULT = Path(__file__).parent.parent / ".local"


class AlreadyRunning(RuntimeError):
    """Another process keeps a cluster in this folder."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a ready cluster says of itself. `started` is RFC 3339 UTC."""

    server: str
    kubectl: str
    metrics: str
    started: str
    shortcoming: str | None = None


@dataclass(frozen=True)
class Home:
    """The folder and the files in it."""

    folder: Path = DEFAULT

    @property
    def kubeconfig(self) -> Path:
        """For kubectl."""
        return self.folder / "kubeconfig"

    @property
    def cluster(self) -> Path:
        """The control plane's folder."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """What the process in the background says."""
        return self.folder / "up.log"

    @property
    def state_file(self) -> Path:
        """There as soon as the cluster is ready."""
        return self.folder / "state.json"

    @property
    def lock_file(self) -> Path:
        """Locked from before the process in the background starts until it has ended; holds its process id."""
        return self.folder / "lock"

    def state(self) -> State | None:
        """What the cluster said when it was ready, or None."""
        try:
            return msgspec.json.decode(self.state_file.read_bytes(), type=State)
        except FileNotFoundError:
            return None

    def owner(self) -> int | None:
        """Process id of the running cluster's process, or None if there is none.

        A lock rather than a process id alone: the number may belong to somebody else by now.
        """
        return int(self._lock_of_another() or 0) or None

    def taken(self) -> bool:
        """Whether a process keeps a cluster here, be it one that has not noted down its number yet."""
        return self._lock_of_another() is not None

    def take(self) -> IO[str]:
        """Make this process the folder's owner, for as long as the returned file is open."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.lock_file.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunning(f"{self.folder} belongs to process {self.owner()}") from None
        self.belongs_to(os.getpid(), file)
        return file

    def belongs_to(self, pid: int, lock: IO[str]) -> None:
        """Say whose the folder is: the process that `lock` was taken for, or that it is handed on to."""
        lock.truncate(0)
        lock.write(str(pid))
        lock.flush()

    def _lock_of_another(self) -> str | None:
        """What the lock says, if somebody holds it."""
        try:
            with self.lock_file.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read()
        except FileNotFoundError:
            pass
        return None

    def clear(self) -> None:
        """Remove what an earlier cluster left; the lock, which this process holds, stays."""
        for path in self.folder.iterdir():
            if path == self.lock_file:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
