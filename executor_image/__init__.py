"""What runs in an executor pod: one work order from the hand-out to the hand-in.

In the supervisor's process (holds the token, never imports Qiskit):
    supervisor.py       the whole life, signals, exit codes
    settings.py         the environment
    gateway_client.py   asking for work, reporting, handing in
    progress.py         when to report
    attempt.py          build in one child, run in another, within the time limit
    memory.py           how the pod's memory is shared out
    outcomes.py         what the end of a child means
    document.py         the result document, its summary, the extra formats
    delivery.py         bringing the result to its place
    volume.py           … on a volume
    console.py          … or into the log; what the user's code prints
    failures.py         the report of an attempt that ended otherwise
Between them:
    steps.py            what the supervisor asks of a child, and the answers
In the zygote and its children (Qiskit, the sandbox, no secrets):
    child.py            the doors; what is loaded once
    simulating.py       the step that yields counts
    transpiling.py      pass managers by method and level
    corrections.py      what Aer would make wrong counts of
    devices.py          noise models and targets from the snapshots in snapshots/
"""
