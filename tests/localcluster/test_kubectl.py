"""kubectl and a terminal's Ctrl-C, which goes to every process of the group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from localcluster.kubectl import Kubectl

ROOT = Path(__file__).parents[2]


def test_ctrl_c_is_for_whoever_runs_kubectl_and_no_failure_of_it(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        textwrap.dedent("""\
            #!/bin/sh
            : > begun
            while [ ! -e finish ]; do sleep 0.05; done
            echo done
        """)
    )
    kubectl.chmod(0o755)
    script = textwrap.dedent("""
        import asyncio, signal
        from pathlib import Path
        from localcluster.kubectl import Kubectl

        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print, "interrupted")
            print(await Kubectl(Path("kubectl").absolute(), Path("kubeconfig"))("wait"))

        asyncio.run(main())
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            while not (tmp_path / "begun").exists():
                assert running.poll() is None
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGINT)
            (tmp_path / "finish").touch()
            said, _ = running.communicate(timeout=90)
        finally:
            running.kill()
    assert said.split() == ["interrupted", "done"]


async def test_kubectl_keeps_nothing_in_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which it would without a home: what it knows of the API goes into `.kube` there."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KUBECACHEDIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$KUBECACHEDIR"\n')
    program.chmod(0o755)
    said = await Kubectl(program, tmp_path / "kubeconfig")("get", "pods")
    assert said.strip() == str(tmp_path / "qiskit-operator" / "kubectl")
