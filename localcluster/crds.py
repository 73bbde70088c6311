"""Installs the project's custom resource definitions and waits until they serve."""

from __future__ import annotations

from pathlib import Path

from localcluster.kubectl import Kubectl

CRD_FOLDER = Path(__file__).parent.parent / "deploy" / "crds"


async def install_crds(kubectl: Kubectl, folder: Path = CRD_FOLDER) -> bool:
    """Apply every definition in `folder` and wait for `Established`. False if there is none to apply."""
    arguments = [f"--filename={file}" for file in _definitions(folder)]
    if not arguments:
        return False
    # Server-side: a definition with its schema is too large for the annotation of a client-side apply.
    await kubectl("apply", "--server-side", "--force-conflicts", *arguments)
    await kubectl("wait", "--for=condition=Established", "--timeout=30s", *arguments)
    return True


def _definitions(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.yaml"))
    return [file for file in files if "kind: CustomResourceDefinition" in file.read_text()]
