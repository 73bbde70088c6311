"""What this machine allows the node to do for its pods' separation, found out by trying."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.isolation import Isolation
from localcluster.keeping import Keeper, NotStarted
from localcluster.node.ownership import NOBODY, Owner

ROOT = Path(__file__).parents[2]
"""The folder that the project's packages lie in; entry points run there."""


@dataclass(frozen=True)
class Host:
    """How far pods can be separated here.

    `namespaces`: each container has process and mount namespaces of its own. `shed`: processes leave root.
    `visible`: what every pod has to see; `hidden`: what stands in the way of another user, or is none of a
    pod's business.
    """

    folder: Path
    namespaces: bool
    shed: bool
    visible: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def shortcoming(self) -> str | None:
        """What a pod here lacks that a container would have, in words; None if nothing can be done better."""
        if not self.namespaces:
            return "no process namespaces: pods run as plain sessions and see each other's files"
        if not self.shed and os.getuid() == 0:
            return f"{ROOT} or its Python cannot be read by user {NOBODY}: pods run as root"
        return None

    def isolation(
        self, owner: Owner, private: Path, tmp: Path, also: Iterable[Path], *, nnp: bool
    ) -> Isolation:
        """The separation of one container: it sees `private` and `also`, and `tmp` as /tmp."""
        if not self.namespaces:
            return Isolation(owner.user, owner.group, list(owner.groups), no_new_privileges=nnp)
        return Isolation(
            owner.user,
            owner.group,
            list(owner.groups),
            namespaces=True,
            hide=dict.fromkeys(self.hidden) | {"/tmp": str(tmp)},  # noqa: S108 - what is laid over it
            expose=[*self.visible, str(private), *map(str, also)],
            no_new_privileges=nnp,
        )


async def probe(keeper: Keeper, folder: Path, *, shed_root: bool) -> Host:
    """The strongest separation that works here, tried out with a process that imports this package."""
    visible = _needed()
    hidden = sorted({str(folder), *_barred([*visible, str(folder)])})
    for namespaces, shed in _choices(shed_root):
        host = Host(folder, namespaces, shed, tuple(visible), tuple(hidden) if shed else (str(folder),))
        if await _works(host, keeper, folder):
            return host
    return Host(folder, namespaces=False, shed=False, visible=tuple(visible), hidden=())


def _needed() -> list[str]:
    """The project, its Python and the packages that this has installed."""
    return sorted({str(ROOT), sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)})


def _choices(shed_root: bool) -> list[tuple[bool, bool]]:
    if os.getuid() != 0:
        return [(True, False)]
    choices = [(True, True), (False, True), (True, False)]
    return choices if shed_root else [choice for choice in choices if not choice[1]]


def _barred(paths: Iterable[str]) -> set[str]:
    """The folders on the way to `paths` that somebody who owns nothing cannot pass."""
    ways = {parent for path in paths for parent in Path(path).parents}
    return {str(way) for way in ways if not way.stat().st_mode & 0o001}


async def _works(host: Host, keeper: Keeper, folder: Path) -> bool:
    trial = folder / "trial"
    trial.mkdir(exist_ok=True)
    owner = Owner(NOBODY, NOBODY) if host.shed else Owner(None, None)
    owner.take(trial, 0o700)
    isolation = host.isolation(owner, trial, trial, (), nnp=True)
    try:
        child = await keeper.run(
            [sys.executable, "-c", f"import localcluster, os; os.listdir({str(trial)!r})"],
            log=folder / "trial.log",
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            isolation=isolation,
        )
    except NotStarted:
        return False
    return await child.wait() == 0
