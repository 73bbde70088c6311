"""Never two leaders at work at once (G43), whatever happens between the processes and the API server."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.controller.lease_world import Fault, Mode, Process, World, overlaps, virtual_loop, worked, wrote

TROUBLE_ENDS = 120.0
"""Seconds; every fault has ended by then, so that somebody has to lead in the end."""

CALM = 60.0

faults = st.lists(
    st.builds(
        Fault,
        start=st.floats(0, 90),
        length=st.floats(0.1, 30),
        mode=st.sampled_from(list(Mode)),
    ),
    max_size=5,
).map(tuple)

processes = st.lists(
    st.fixed_dictionaries(
        {
            "faults": faults,
            "rate": st.floats(0.97, 1.03),
            "winds_down": st.sampled_from([0.0, 0.5, 2.0, 30.0]),
        }
    ),
    min_size=2,
    max_size=3,
)


async def scenario(seed: int, candidates: list[dict[str, object]], starts: list[float]) -> World:
    world = World(seed)
    members = [
        Process(world, f"process-{number}", **candidate)  # type: ignore[arg-type]
        for number, candidate in enumerate(candidates)
    ]
    for member, start in zip(members, starts, strict=False):
        await asyncio.sleep(start)
        member.start()
    await asyncio.sleep(TROUBLE_ENDS + CALM - world.now)
    leading = [member for member in members if member.leading and not member.dead]
    alive = [member for member in members if not member.dead]
    await world.end()

    # Guarded writes never interleave, not even those of a process that stood still and woke up.
    assert not overlaps(world.terms, wrote)
    # The work as a whole never overlaps either, where every process could react in time.
    reacting = {m.name for m in members if not any(f.mode is Mode.FROZEN for f in m.faults)}
    assert not overlaps([term for term in world.terms if term.process in reacting], worked)
    # And the election does not seize up.
    assert len(leading) == 1 or not alive
    return world


def check(seed: int, candidates: list[dict[str, object]], starts: list[float]) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(scenario(seed, candidates, starts))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), processes, st.lists(st.floats(0, 10), min_size=3, max_size=3))
def test_never_two_leaders_at_work_and_always_one_in_the_end(
    seed: int, candidates: list[dict[str, object]], starts: list[float]
) -> None:
    check(seed, candidates, starts)


@pytest.mark.chaos
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), processes, st.lists(st.floats(0, 10), min_size=3, max_size=3))
def test_never_two_leaders_at_work_in_a_long_series(
    seed: int, candidates: list[dict[str, object]], starts: list[float]
) -> None:
    check(seed, candidates, starts)
