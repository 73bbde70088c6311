"""The state machine of a job's phases."""

from __future__ import annotations

import pytest

from api.phases import TERMINAL_PHASES, TRANSITIONS, Phase, is_terminal, may_follow


def test_nothing_leaves_a_terminal_phase() -> None:
    assert {Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED} == TERMINAL_PHASES
    for phase in TERMINAL_PHASES:
        assert not any(may_follow(phase, following) for following in Phase)


def test_every_phase_is_reached_from_pending_and_ends_somewhere() -> None:
    reached, frontier = {Phase.PENDING}, [Phase.PENDING]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert reached == set(Phase)
    assert set(TRANSITIONS) == set(Phase)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in TERMINAL_PHASES])
def test_a_living_job_can_always_fail_be_cancelled_and_stay(phase: Phase) -> None:
    assert may_follow(phase, Phase.FAILED)
    assert may_follow(phase, Phase.CANCELLED)
    assert may_follow(phase, phase)
    assert not is_terminal(phase)


@pytest.mark.parametrize(
    ("current", "following"),
    [(Phase.PENDING, Phase.COMPLETED), (Phase.PENDING, Phase.RETRYING), (Phase.RUNNING, Phase.VALIDATING)],
)
def test_a_job_that_never_ran_cannot_complete_and_a_running_one_does_not_go_back(
    current: Phase, following: Phase
) -> None:
    assert not may_follow(current, following)


def test_the_phase_of_an_unknown_release_is_not_terminal() -> None:
    assert not is_terminal("Dreaming")
