"""Leader election (G43) against a scripted Lease API: one case for each way in which it has been got wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from controller.election import new_identity
from controller.lease import LeaseTimings
from tests.controller.lease_world import Fault, Mode, Process, World, overlaps, worked, wrote

pytestmark = pytest.mark.looptime


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.end()
    assert not overlaps(world.terms, worked), "two processes did guarded work at the same time"
    assert not overlaps(world.terms, wrote)


async def test_a_timer_that_rings_a_hair_early_does_not_spin(world: World) -> None:
    """Timers and clocks round differently: what is left may be too little for the clock to go on."""
    elector = Process(world, "coarse").elector
    now = 1000.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        assert len(slept) < 10, "spins"
        now += round(seconds - 4e-7, 6)  # a clock that counts microseconds, and a timer that rounds down

    elector._clock = lambda: now
    elector._sleep = sleep
    elector._claim.sent = now + 2e-7
    await elector._passed(10.0)
    assert slept[0] == pytest.approx(10.0)
    assert now >= elector._claim.sent + 10.0


async def test_the_first_of_several_leads_and_the_others_wait(world: World) -> None:
    processes = [Process(world, name) for name in ("a", "b", "c")]
    for process in processes:
        process.start()
    await asyncio.sleep(60)
    assert sum(process.leading for process in processes) == 1
    assert world.server.holder == next(process.name for process in processes if process.leading)


async def test_a_crashed_leader_is_replaced_after_its_lease_and_not_before(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(30, 1e6, Mode.FROZEN),)), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(100)
    last_renewal = max(when for when, record in world.server.history if record and _holder(record) == "a")
    taken = world.terms_of(b)[0].began
    assert 15 <= taken - last_renewal < 15 + 2 * 2 * 1.2
    world.terms_of(a)[0].ended = 30  # the crash


async def test_a_stopped_leader_releases_only_after_its_work_has_ended(world: World) -> None:
    a = Process(world, "a", winds_down=8.0)
    task = a.start()
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.sleep(7.9)
    assert world.server.holder == "a", "still winding down, still the holder"
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.server.holder == ""
    assert world.terms_of(a)[0].ended <= world.server.history[-1][0]


async def test_the_lease_is_renewed_for_as_long_as_the_work_winds_down(world: World) -> None:
    a, b = Process(world, "a", winds_down=120.0), Process(world, "b")
    task = a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.sleep(119)
    assert not world.terms_of(b)
    await asyncio.sleep(5)
    assert b.leading, "and after the release the next one does not wait for an expiry"


async def test_cancelling_again_and_again_does_not_leave_work_behind(world: World) -> None:
    a = Process(world, "a", winds_down=5.0)
    task = a.start()
    await asyncio.sleep(5)
    for _ in range(4):
        task.cancel()
        await asyncio.sleep(0.5)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.terms_of(a)[0].ended == pytest.approx(10.0, abs=0.01)


async def test_work_that_returns_ends_the_election_and_releases(world: World) -> None:
    a = Process(world, "a")
    task = a.start()
    await asyncio.sleep(5)
    a.stop_working.set()
    await task
    assert world.server.holder == ""


async def test_a_retired_leader_that_loses_the_lease_leaves_and_asks_for_it_no_more(world: World) -> None:
    """A stop during an outage: the passes under way hang until the lease is lost. The process has to end."""
    a = Process(world, "a", faults=(Fault(20, 1e6, Mode.REFUSED),), winds_down=3.0)
    task = a.start()
    await asyncio.sleep(21)
    a.elector.retire()
    await asyncio.sleep(60)
    assert task.done()
    assert task.exception() is None
    assert len(world.terms_of(a)) == 1


async def test_work_that_fails_stops_the_renewals_and_releases_and_is_raised(world: World) -> None:
    """Others went on renewing for ever for a leader whose work had died."""
    a, b = Process(world, "a"), Process(world, "b")
    task = a.start()
    await asyncio.sleep(1)
    b.start()
    a.fails_with = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        await task
    await asyncio.sleep(3)
    assert b.leading


@pytest.mark.parametrize("mode", [Mode.REFUSED, Mode.UNAVAILABLE, Mode.HANGS, Mode.VERY_SLOW])
async def test_a_leader_cut_off_stops_before_anybody_else_may_start(world: World, mode: Mode) -> None:
    """Others let the work run on when a renewal raised a connection error."""
    a, b = Process(world, "a", faults=(Fault(20, 60, mode),), winds_down=3.0), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(50)
    assert not a.leading
    assert b.leading
    assert world.terms_of(a)[0].ended < world.terms_of(b)[0].began


async def test_the_deadline_counts_from_before_the_last_renewal_was_sent(world: World) -> None:
    """Not from its answer: others have counted since the server applied it."""
    a = Process(world, "a", faults=(Fault(20, 2, Mode.ANSWER_LATE), Fault(22, 1e6, Mode.REFUSED)))
    a.start()
    await asyncio.sleep(60)
    applied = world.server.history[-1][0]
    assert 20 < applied < 22
    assert world.terms_of(a)[0].ended <= applied + 10


async def test_a_short_outage_costs_nobody_the_lease(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(20, 6, Mode.UNAVAILABLE),)), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(100)
    assert len(world.terms) == 1


async def test_one_call_that_hangs_leaves_time_for_another(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(20, 2.5, Mode.HANGS),)), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(100)
    assert len(world.terms) == 1


async def test_a_renewal_whose_answer_is_lost_is_recognised_as_our_own(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(20, 2.5, Mode.ANSWER_LOST),)), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(100)
    assert len(world.terms) == 1
    assert world.server.refusals >= 1


async def test_after_an_outage_of_everybody_one_leads_again_without_a_restart(world: World) -> None:
    processes = [Process(world, name, faults=(Fault(20, 60, Mode.REFUSED),)) for name in ("a", "b")]
    for process in processes:
        process.start()
    await asyncio.sleep(75)
    assert not any(process.leading for process in processes)
    await asyncio.sleep(25)
    assert sum(process.leading for process in processes) == 1


async def test_somebody_elses_name_on_the_lease_ends_the_work_at_the_next_renewal(world: World) -> None:
    a = Process(world, "a")
    a.start()
    await asyncio.sleep(20)
    assert world.server.record is not None
    world.server.record["spec"]["holderIdentity"] = "usurper"
    world.server.annotate()
    await asyncio.sleep(2.1)
    assert not a.leading
    assert not a.elector.may_act()
    await asyncio.sleep(16)
    assert a.leading, "and the usurper, who renews nothing, is outlived"


async def test_a_write_of_somebody_else_that_changes_no_holder_costs_nothing(world: World) -> None:
    a = Process(world, "a")
    a.start()
    for _ in range(10):
        await asyncio.sleep(5)
        world.server.annotate()
    assert len(world.terms) == 1


async def test_a_lease_deleted_while_it_is_held_is_made_again_by_its_holder(world: World) -> None:
    a, b = Process(world, "a"), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(20)
    world.server.delete()
    await asyncio.sleep(60)
    assert len(world.terms) == 1
    assert world.server.holder == "a"


async def test_a_release_meets_a_late_renewal_of_our_own_and_still_succeeds(world: World) -> None:
    a = Process(world, "a", faults=(Fault(19.5, 2.2, Mode.ANSWER_LOST),))
    task = a.start()
    await asyncio.sleep(22)
    task.cancel()
    await asyncio.wait({task})
    assert world.server.holder == ""


async def test_a_release_that_cannot_be_sent_is_let_go_in_bounded_time(world: World) -> None:
    a = Process(world, "a", faults=(Fault(20, 1e6, Mode.HANGS),))
    task = a.start()
    await asyncio.sleep(21)
    task.cancel()
    await asyncio.wait({task})
    assert world.now < 21 + 5.1


async def test_a_lease_that_was_taken_meanwhile_is_not_released(world: World) -> None:
    a = Process(world, "a")
    task = a.start()
    await asyncio.sleep(20.5)
    assert world.server.record is not None
    world.server.record["spec"]["holderIdentity"] = "usurper"
    world.server.annotate()
    task.cancel()
    await asyncio.wait({task})
    assert world.server.holder == "usurper"


async def test_work_that_does_not_end_is_aborted_before_anybody_else_may_start(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(20, 1e6, Mode.REFUSED),), winds_down=1e5), Process(world, "b")
    task = a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(60)
    assert a.dead
    assert b.leading
    assert isinstance(task.exception(), SystemError)


async def test_a_thawed_leader_begins_nothing_on_the_strength_of_an_old_lease(world: World) -> None:
    a, b = Process(world, "a", faults=(Fault(20, 40, Mode.FROZEN),)), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(99)
    assert b.leading
    assert not a.leading
    assert max(world.terms_of(a)[0].writes) < 20
    world.terms_of(a)[0].ended = 20  # it stood still from then on


async def test_remote_times_decide_nothing(world: World) -> None:
    """A record whose times are in the far past is as fresh as any other while it changes."""
    a, b = Process(world, "a"), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(100)
    assert len(world.terms) == 1
    assert world.server.record is not None
    assert world.server.record["spec"]["renewTime"].startswith("2026-01-01T00:00:00"), (
        "our clock stands still"
    )


async def test_times_that_cannot_be_read_decide_nothing_either(world: World) -> None:
    """Other holders write them otherwise: without fractions, with an offset, or not at all."""
    a, b = Process(world, "a"), Process(world, "b")
    b.start()
    await asyncio.sleep(1)
    for text in ("2026-01-01T00:00:00+02:00", "the day before yesterday", None):
        assert world.server.record is not None
        world.server.record["spec"].update(renewTime=text, acquireTime=text)
        world.server.annotate()
        await asyncio.sleep(10)
    assert b.leading
    a.start()
    await asyncio.sleep(60)
    assert len(world.terms) == 1


async def test_a_candidate_honours_the_duration_that_the_holder_promised(world: World) -> None:
    """While settings are rolled out, two processes differ."""
    slow = LeaseTimings(lease_duration=60, renew_deadline=50, retry_period=25)
    a, b = Process(world, "a", timings=slow), Process(world, "b")
    a.start()
    await asyncio.sleep(1)
    b.start()
    await asyncio.sleep(300)
    assert len(world.terms) == 1


async def test_a_leader_writes_once_a_period_and_reads_nothing(world: World) -> None:
    reads = 0
    a = Process(world, "a")
    original = a.get

    async def counted(*args: object, **kwargs: object) -> object:
        nonlocal reads
        reads += 1
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    a.get = counted  # type: ignore[method-assign, assignment]
    a.start()
    await asyncio.sleep(100)
    assert reads == 1
    assert len(world.server.history) == pytest.approx(50, abs=2)


async def test_the_metrics_tell_who_leads(world: World) -> None:
    a = Process(world, "a", faults=(Fault(20, 30, Mode.REFUSED),))
    a.start()
    value = a.metrics.registry.get_sample_value
    await asyncio.sleep(10)
    assert value("qiskit_operator_leader") == 1
    await asyncio.sleep(25)
    assert value("qiskit_operator_leader") == 0
    assert value("qiskit_operator_leader_transitions_total", {"event": "lost"}) == 1


def test_identities_never_repeat() -> None:
    assert len({new_identity() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("lease", "renew", "retry", "complaint"),
    [
        (10, 10, 2, "longer than the renew deadline"),
        (15, 2.4, 2, "longer than 1.2 times"),
        (15, 10, 0, "positive"),
        (15, 10, -1, "positive"),
    ],
)
def test_timings_that_cannot_be_safe_are_refused(
    lease: float, renew: float, retry: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        LeaseTimings(lease, renew, retry)


def _holder(record: dict[str, dict[str, str]]) -> str:
    return record["spec"]["holderIdentity"]
