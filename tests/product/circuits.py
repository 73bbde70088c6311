"""Circuits as users write them, good and bad."""

from __future__ import annotations

BELL = """
from qiskit import QuantumCircuit

qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""

SLOW_TO_RUN = """
from qiskit import QuantumCircuit

qc = QuantumCircuit(22)
for layer in range(400):
    for q in range(22):
        qc.rx(0.1 * (layer + 1), q)
    for q in range(21):
        qc.cx(q, q + 1)
qc.measure_all()
"""
"""Minutes of simulation, which is long enough for whatever a test does to it meanwhile."""

SYNTAX_ERROR = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(2\n"
NO_CIRCUIT = "answer = 42\n"
NO_MEASUREMENT = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)\nqc.h(0)\n"
RAISES_ON_LINE_3 = "from qiskit import QuantumCircuit\n\nraise ValueError('no such angle')\n"
EXITS = "import sys\nsys.exit(3)\n"
LOOPS = "while True:\n    pass\n"
LOOPS_IN_C = "sum(range(10 ** 15))\n"
HOGS_MEMORY = "hog = []\nwhile True:\n    hog.append(bytearray(64 << 20))\n"
KILLS_ITSELF = "import ctypes\nctypes.string_at(0)\n"


def guarded(attempt: str) -> str:
    """Code that tries something forbidden, and reports in its circuit whether that worked.

    One qubit is flipped if the attempt succeeded: a count of 1 is a sandbox with a hole.
    """
    body = "\n".join(f"        {line}" for line in attempt.strip().splitlines())
    return f"""
from qiskit import QuantumCircuit


def works():
    try:
{body}
    except BaseException:
        return False
    return True


qc = QuantumCircuit(1)
if works():
    qc.x(0)
qc.measure_all()
"""


FORBIDDEN = {
    "opening a socket": "import socket\nsocket.socket().close()",
    "asking for a name": "import socket\nsocket.getaddrinfo('localhost', 80)",
    "forking": "import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)",
    "starting a program": "import subprocess\nsubprocess.run(['/bin/true'], check=True)",
    "a bomb of forks": "import os\nfor _ in range(64):\n    os.fork()",
    "killing everybody": "import os\nos.kill(-1, 9)",
    "killing its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)",
    "reading another process's memory": "open(f'/proc/{__import__(\"os\").getppid()}/mem', 'rb').read(1)",
    "reading another process's environment": "open('/proc/1/environ', 'rb').read()",
    "reading its parent's environment": "open(f'/proc/{__import__(\"os\").getppid()}/environ', 'rb').read()",
    "listing secrets": "import os\nos.listdir('/var/run/secrets')",
    "writing to the system": "open('/etc/owned', 'w').close()",
    "writing where others write": "open('/var/tmp/owned', 'w').close()",
    "tracing": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.ptrace(16, __import__('os').getppid(), 0, 0) != 0:\n    raise OSError"
    ),
    "an io_uring": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.syscall(425, 8, ctypes.create_string_buffer(256)) < 0:\n    raise OSError"
    ),
    "new namespaces": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.unshare(0x10000000) != 0:\n    raise OSError"
    ),
}
"""What hostile code may try; none of it may work."""
