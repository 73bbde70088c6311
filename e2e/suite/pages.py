"""The documentation's commands: a reader's, executed as they stand there.

A block marked `sh` is executed where its page is; one marked `shell` belongs to a test of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from e2e.suite.installing import ROOT
from e2e.suite.kubectl import Kubectl


def execute(cluster: Kubectl, page: str, kind: str, home: Path) -> None:
    """Run all blocks of a kind of docs/<page>.md in one shell; the first command that fails ends it."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, f"docs/{page}.md has no commands"
    path = f"{Path(cluster.program).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eux", "-o", "pipefail", "-c", "\n".join(blocks)],
        cwd=ROOT,
        env=os.environ | {"PATH": path, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
