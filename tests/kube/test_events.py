"""The events recorder (G46): what is said, what is counted, what is kept quiet, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kube import (
    CONFIG_MAPS,
    EVENTS_V1,
    AlreadyExists,
    ApiError,
    Client,
    Conflict,
    EventRecorder,
    Forbidden,
    Invalid,
    NotFound,
    ObjectReference,
    Unreachable,
)
from kube.correlation import BURST, COMBINED, MEMORY, REFILL_SECONDS, SIMILAR_LIMIT, Correlator, Occurrence
from kube.events import QUEUE_LIMIT, TRIES
from localcluster.kubectl import Kubectl

JOB = ObjectReference("quantum.io/v1", "QiskitJob", "lab", "bell", "uid-1")


def happened(message: str = "it ran", *, uid: str = "uid-1", reason: str = "Ran") -> Occurrence:
    about = ObjectReference("quantum.io/v1", "QiskitJob", "lab", "bell", uid)
    return Occurrence(about, "Normal", reason, message)


def test_g46_the_same_again_raises_a_count() -> None:
    correlator = Correlator()
    writes = [correlator.correlate(happened(), float(second)) for second in range(3)]
    assert [(write.serial, write.count) for write in writes if write] == [(1, 1), (1, 2), (1, 3)]


def test_g46_a_series_ends_after_six_quiet_minutes() -> None:
    correlator = Correlator()
    first, later = correlator.correlate(happened(), 0.0), correlator.correlate(happened(), 361.0)
    assert first is not None
    assert later is not None
    assert (later.serial, later.count) == (first.serial + 1, 1)


def test_g46_many_that_differ_in_their_text_become_one() -> None:
    correlator = Correlator()
    texts = [f"text {n:02d}" for n in range(SIMILAR_LIMIT + 5)]
    writes = [correlator.correlate(happened(text), 1.0) for text in texts]
    said = [write.occurrence.message for write in writes if write]
    assert said[:SIMILAR_LIMIT] == texts[:SIMILAR_LIMIT]
    assert set(said[SIMILAR_LIMIT:]) == {COMBINED + texts[0]}
    assert writes[-1] is not None
    assert writes[-1].count == 5


def test_g46_one_object_cannot_flood_and_does_not_silence_others() -> None:
    correlator = Correlator()
    written = [correlator.correlate(happened(), 0.0) for _ in range(BURST + 10)]
    assert sum(write is not None for write in written) == BURST
    assert correlator.correlate(happened(uid="uid-2"), 0.0) is not None
    assert correlator.correlate(happened(), REFILL_SECONDS - 1) is None
    assert correlator.correlate(happened(), REFILL_SECONDS + 1) is not None


def test_g46_what_is_remembered_is_bounded_and_the_oldest_is_forgotten() -> None:
    correlator = Correlator()
    for number in range(MEMORY + 100):
        correlator.correlate(happened(uid=f"uid-{number}"), 0.0)
        if number == MEMORY // 2:
            correlator.correlate(happened(uid="uid-0"), 0.0)
    memories = (correlator._similar, correlator._buckets, correlator._series)
    assert [len(memory._items) for memory in memories] == [MEMORY] * 3
    asked = [correlator.correlate(happened(uid=f"uid-{number}"), 1.0) for number in (MEMORY + 99, 0, 1)]
    counts = [write.count for write in asked if write is not None]
    assert counts == [2, 3, 1], "the newest, the oldest that was used again, and the oldest that was not"


class ScriptedClient:
    """Takes events; fails as it is told to."""

    def __init__(self, *failures: ApiError) -> None:
        self.failures = list(failures)
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.tries = 0

    async def create(self, _resource: object, body: dict[str, Any], _namespace: str, **_options: Any) -> None:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        self.created.append(body)

    async def merge_patch(
        self, _resource: object, name: str, body: dict[str, Any], _namespace: str, **_options: Any
    ) -> None:
        self.tries += 1
        self.patched.append((name, body))


def recorder(client: Any) -> EventRecorder:
    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    return EventRecorder(
        client,
        controller="quantum.io/operator",
        instance="one",
        sleep=sleep,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


async def written(events: EventRecorder) -> None:
    task = asyncio.create_task(events.run())
    await events.flush(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_g46_repeats_patch_the_event_that_is_there() -> None:
    client = ScriptedClient()
    events = recorder(client)
    for _ in range(3):
        events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert len(client.created) == 1
    name = client.created[0]["metadata"]["name"]
    assert [(n, body["series"]["count"]) for n, body in client.patched] == [(name, 2), (name, 3)]


async def test_names_of_events_sort_as_they_happened() -> None:
    client: Any = ScriptedClient()
    moments = iter([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(16)])
    events = EventRecorder(client, controller="operator", instance="one", now=lambda: next(moments))
    for number in range(16):
        events.emit(JOB, "Normal", f"Step{number:02}", "it went on")
    await written(events)
    told = sorted(client.created, key=lambda body: str(body["metadata"]["name"]))
    assert [body["reason"] for body in told] == [f"Step{number:02}" for number in range(16)]


async def test_g46_emit_never_waits_and_a_full_queue_drops() -> None:
    events = recorder(ScriptedClient())
    for n in range(QUEUE_LIMIT + 50):
        events.emit(ObjectReference("v1", "Pod", "lab", f"p{n}", f"uid-{n}"), "Normal", "Ran", "it ran")
    assert events.dropped == 50


async def test_g46_an_absent_api_server_is_bridged_and_then_given_up() -> None:
    bridged = ScriptedClient(*[Unreachable(0, "Unreachable", "")] * (TRIES - 1))
    events = recorder(bridged)
    events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert len(bridged.created) == 1
    lost = ScriptedClient(*[Unreachable(0, "Unreachable", "")] * TRIES)
    events = recorder(lost)
    events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert (lost.tries, events.dropped) == (TRIES, 1)


async def test_g46_a_namespace_that_takes_no_events_is_not_asked_twice() -> None:
    client = ScriptedClient(Forbidden(403, "Forbidden", "is being terminated"))
    events = recorder(client)
    events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert (client.tries, events.dropped) == (1, 1)


@pytest.mark.parametrize("refusal", [Invalid(422, "Invalid", ""), Conflict(409, "Conflict", "")])
async def test_g46_what_is_refused_is_given_up_and_does_not_hold_up_the_next(refusal: ApiError) -> None:
    client = ScriptedClient(refusal)
    events = recorder(client)
    events.emit(JOB, "Normal", "Ran", "refused")
    events.emit(JOB, "Normal", "Ran", "taken")
    await written(events)
    assert [body["note"] for body in client.created] == ["taken"]
    assert events.dropped == 1


async def test_g46_an_error_of_our_own_costs_one_event_and_not_the_recorder() -> None:
    class Faulty(ScriptedClient):
        async def create(
            self, _resource: object, body: dict[str, Any], _namespace: str, **_options: Any
        ) -> None:
            if body["note"] == "faulty":
                raise ValueError("a bug")
            await super().create(_resource, body, _namespace)

    client = Faulty()
    events = recorder(client)
    events.emit(JOB, "Normal", "Ran", "faulty")
    events.emit(JOB, "Normal", "Ran", "sound")
    await written(events)
    assert [body["note"] for body in client.created] == ["sound"]
    assert events.dropped == 1


async def test_g46_a_try_whose_answer_was_lost_is_not_made_twice() -> None:
    client = ScriptedClient(AlreadyExists(409, "AlreadyExists", ""))
    events = recorder(client)
    events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert (client.tries, events.dropped) == (1, 0)


async def test_g46_a_series_outlives_its_event() -> None:
    class Forgetful(ScriptedClient):
        async def merge_patch(
            self, _resource: object, name: str, body: object, _namespace: str, **_options: Any
        ) -> None:
            raise NotFound(404, "NotFound", name)

    client = Forgetful()
    events = recorder(client)
    events.emit(JOB, "Normal", "Ran", "it ran")
    events.emit(JOB, "Normal", "Ran", "it ran")
    await written(events)
    assert len(client.created) == 2
    assert events.dropped == 0


@pytest.mark.looptime
async def test_g46_flushing_ends_although_nothing_can_be_written(looptime: Any) -> None:
    events = recorder(ScriptedClient())
    events.emit(JOB, "Normal", "Ran", "it ran")
    await events.flush(5.0)
    assert looptime == 5.0


@pytest.mark.cluster
async def test_any_text_and_any_name_can_be_told(client: Client, namespace: str) -> None:
    events = EventRecorder(client, controller="quantum.io/operator", instance="one")
    long_name = "a" * 229 + "-" + "b" * 20
    about = ObjectReference("v1", "ConfigMap", namespace, long_name, "uid")
    events.emit(about, "Warning", "Odd", "half a surrogate \ud800, many bytes: " + "ψ" * 600)
    await written(events)
    assert events.dropped == 0
    (seen,) = await client.list_items(EVENTS_V1, namespace, type=dict[str, Any])
    assert len(seen["note"].encode()) <= 1024


@pytest.mark.cluster
async def test_kubectl_describe_tells_the_story(client: Client, kubectl: Kubectl, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, {"metadata": {"name": "told"}}, namespace)
    about = ObjectReference("v1", "ConfigMap", namespace, "told", created["metadata"]["uid"])
    events = EventRecorder(client, controller="quantum.io/operator", instance="one")
    events.emit(about, "Normal", "Began", "the story begins")
    events.emit(about, "Warning", "Turned", "x" * 5000)
    events.emit(about, "Normal", "Began", "the story begins")
    await written(events)
    described = str(await kubectl("describe", "configmap", "told", "-n", namespace))
    assert "the story begins" in described
    assert "Turned" in described
    assert "x2" in described
