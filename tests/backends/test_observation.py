"""How far an execution is, read from its pod."""

from __future__ import annotations

import pytest

from backends import State
from backends.aer.observation import status_of
from tests.reconcilers.builders import PodBuilder, a_pod, at


@pytest.mark.parametrize(
    ("pod", "state"),
    [
        (a_pod(), State.QUEUED),
        (a_pod().running(), State.RUNNING),
        (a_pod().ended(0), State.SUCCEEDED),
        (a_pod().ended(1), State.FAILED),
        pytest.param(a_pod().ended(0).with_status(phase="Running"), State.SUCCEEDED, id="beside another one"),
        pytest.param(a_pod().ended(1).with_status(phase="Running"), State.FAILED, id="failed beside one"),
    ],
)
def test_the_state_of_a_pod(pod: PodBuilder, state: State) -> None:
    status = status_of(pod.view)
    assert status.state == state
    assert status.ended_at == (at(2) if state in (State.SUCCEEDED, State.FAILED) else None)
