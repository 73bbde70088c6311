"""What the shared informer promises (G8, G14-G16, G18-G22): caches, handlers, namespaces."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from informers.handlers import Tombstone, last_state
from informers.informer import RESYNC_PERIOD, Informer
from informers.namespaces import MultiNamespaceInformer
from informers.objects import is_replaced
from kube.errors import Unreachable
from kube.resources import Resource
from tests.informers.mutation import MutationDetector
from tests.informers.scripted import (
    CLOSE,
    THINGS,
    Diary,
    Metadata,
    ScriptedServer,
    Thing,
    added,
    bookmark,
    deleted,
    error,
    follow,
    listed,
    modified,
    names,
    run_for,
    running,
    thing,
)

pytestmark = pytest.mark.looptime


class Handler(Diary):
    """Checks on each call what else is true in that moment, and keeps what is not: nobody hears it raise."""

    def __init__(self, check: Callable[[Thing], None]) -> None:
        super().__init__()
        self.check = check
        self.untrue: list[AssertionError] = []

    def on_add(self, obj: Thing, initial: bool) -> None:
        super().on_add(obj, initial)
        self._note(obj)

    def on_update(self, old: Thing, new: Thing) -> None:
        super().on_update(old, new)
        self._note(new)

    def _note(self, obj: Thing) -> None:
        try:
            self.check(obj)
        except AssertionError as error:
            self.untrue.append(error)


async def test_g8_a_recreated_object_arrives_as_an_update_that_shows_another_uid(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10, thing("a", 3, uid="first")), listed(50, thing("a", 40, uid="second")))
    server.will_watch(bookmark(11), 5.0, error(410, "Expired"))
    swaps: list[bool] = []

    class Watcher(Diary):
        def on_update(self, old: Thing, new: Thing) -> None:
            swaps.append(is_replaced(old, new))

    informer = follow(server)
    informer.add_handler(Watcher())
    await run_for(informer, 10)
    assert swaps == [True]


async def test_g14_handlers_are_told_in_order_and_after_cache_and_index(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3, colour="red")))
    server.will_watch(modified("a", 11, colour="blue"), added("b", 12, colour="blue"), deleted("a", 13))
    informer = follow(server, indexers={"colour": lambda obj: [obj.metadata.labels.get("colour", "none")]})

    def cached_already(obj: Thing) -> None:
        assert informer.get("ns", obj.metadata.name) is obj
        assert obj in informer.by_index("colour", obj.metadata.labels["colour"])

    first, second = Handler(cached_already), Handler(cached_already)
    informer.add_handler(first)
    informer.add_handler(second)
    await run_for(informer, 1)
    assert first.entries == ["add a initial", "update a 3->11", "add b", "delete a"]
    assert second.entries == first.entries
    assert first.untrue + second.untrue == []


async def test_g14_no_reader_sees_half_a_relist(server: ScriptedServer) -> None:
    before = [thing(f"t{number}", 1, generation="old") for number in range(1000)]
    after = [thing(f"t{number}", 2, generation="new") for number in range(500, 1500)]
    server.will_list(listed(10, *before), listed(20, *after)).will_watch(5.0, error(410, "Expired"))
    informer = follow(server, indexers={"generation": lambda obj: [obj.metadata.labels["generation"]]})

    def all_or_nothing(_told: Thing | None = None) -> None:
        generations = {obj.metadata.labels["generation"] for obj in informer.list()}
        assert generations in (set(), {"old"}, {"new"})
        assert len(informer.by_index("generation", "old")) in (0, 1000)

    reader = Handler(all_or_nothing)
    informer.add_handler(reader)
    async with running(informer):
        for _ in range(400):
            await asyncio.sleep(0.02)
            all_or_nothing()
    assert len(informer) == 1000
    assert len(reader.entries) == 1000 + 500 + 500 + 500
    assert reader.untrue == []


async def test_g15_synced_means_told_to_the_handlers_not_merely_listed(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3), thing("b", 4)))
    informer = follow(server)
    synced_when_told: list[bool] = []
    diary = Handler(lambda _obj: synced_when_told.append(informer.synced))
    registration = informer.add_handler(diary)
    before = registration.synced
    async with running(informer):
        await informer.wait_synced()
        assert diary.entries == ["add a initial", "add b initial"]
    assert (before, registration.synced) == (False, True)
    assert synced_when_told == [False, False]


async def test_g15_an_empty_collection_syncs_too(server: ScriptedServer) -> None:
    server.will_list(listed(10))
    informer = follow(server)
    async with running(informer), asyncio.timeout(1):
        await informer.wait_synced()


async def test_g15_a_late_handler_gets_a_replay_and_then_each_change_once(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3))).will_watch(added("b", 11), 10.0, added("c", 12))
    informer, late = follow(server), Diary()
    async with running(informer):
        await asyncio.sleep(5)
        assert informer.add_handler(late).synced
        assert late.entries == ["add a initial", "add b initial"]
        await asyncio.sleep(10)
    assert late.entries[2:] == ["add c"]


async def test_g15_a_handler_that_comes_in_the_middle_of_the_initial_batch_is_told_once_of_everything(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10, *[thing(f"t{number}", 1) for number in range(1000)]))
    informer, late = follow(server), Diary()
    told = 0
    registrations: list[Any] = []

    class Host(Diary):
        def on_add(self, obj: Thing, initial: bool) -> None:
            nonlocal told
            told += 1
            if told == 700:
                registrations.append(informer.add_handler(late))

    informer.add_handler(Host())
    await run_for(informer, 1)
    assert told == 1000
    assert len(late.entries) == len(set(late.entries)) == 1000
    assert registrations[0].synced


async def test_g15_a_removed_handler_is_told_nothing_more(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3))).will_watch(5.0, added("b", 11))
    informer, diary = follow(server), Diary()
    registration = informer.add_handler(diary)
    async with running(informer):
        await informer.wait_synced()
        registration.remove()
        await asyncio.sleep(10)
    assert diary.entries == ["add a initial"]


async def test_g15_what_a_later_relist_adds_is_not_initial(server: ScriptedServer) -> None:
    server.will_list(listed(10), listed(20, thing("a", 15))).will_watch(5.0, error(410, "Expired"))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert diary.entries == ["add a"]


async def test_a_handler_that_fails_keeps_nobody_else_from_being_told(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_list(listed(10, thing("a", 3))).will_watch(added("b", 11), deleted("b", 12))

    class Broken:
        def on_add(self, obj: Thing, initial: bool) -> None:
            raise RuntimeError("a consumer's bug")

        def on_update(self, old: Thing, new: Thing) -> None: ...

        def on_delete(self, last: Any) -> None:
            raise RuntimeError("a consumer's bug")

    informer, diary = follow(server), Diary()
    informer.add_handler(Broken())
    informer.add_handler(diary)
    await run_for(informer, 1)
    assert diary.entries == ["add a initial", "add b", "delete b"]
    assert server.requests == ["list '0'", "watch '10'"]
    assert "a consumer's bug" in caplog.text


async def test_g7_a_deletion_nobody_saw_is_a_tombstone_and_one_that_was_seen_the_final_state(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10, thing("seen", 3), thing("unseen", 4, value=7)), listed(50))
    server.will_watch(deleted("seen", 12, value=9), 5.0, error(410, "Expired"))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    seen, unseen = diary.deleted
    assert isinstance(seen, Thing)
    assert seen.value == 9
    assert seen.metadata.resource_version == "12"
    assert isinstance(unseen, Tombstone)
    assert unseen.key == ("ns", "unseen")
    assert [last_state(deletion).metadata.name for deletion in diary.deleted] == ["seen", "unseen"]


async def test_g16_cached_objects_cannot_be_changed(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3)))
    informer = follow(server)
    await run_for(informer, 1)
    obj = informer.get("ns", "a")
    assert obj is not None
    with pytest.raises(AttributeError):
        obj.value = 9  # type: ignore[misc]


async def test_g16_who_changes_a_cached_object_all_the_same_is_found_out(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3), thing("b", 4), thing("c", 5)))
    server.will_watch(5.0, modified("a", 11), deleted("b", 12))
    for culprit in ("a", "b", "c", None):
        fresh = ScriptedServer()
        fresh.lists, fresh.watches = server.lists.copy(), server.watches.copy()
        informer = follow(fresh)
        detector = MutationDetector(informer)
        async with running(informer):
            await informer.wait_synced()
            if culprit is not None:
                obj = informer.get("ns", culprit)
                assert obj is not None
                obj.metadata.labels["mine"] = "now"
            await asyncio.sleep(10)
        if culprit is None:
            detector.check()
        else:
            with pytest.raises(AssertionError, match="somebody changed"):
                detector.check()


async def test_g18_the_transform_runs_once_an_object_on_lists_and_watches(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3, value=1))).will_watch(added("b", 11, value=2), deleted("b", 12))
    seen: list[str] = []

    def strip(obj: Thing) -> Thing:
        seen.append(f"{obj.metadata.name}@{obj.metadata.resource_version}")
        return msgspec.structs.replace(obj, value=0)

    informer, diary = follow(server, transform=strip), Diary()
    informer.add_handler(diary)
    await run_for(informer, 1)
    assert seen == ["a@3", "b@11", "b@12"]
    assert diary.deleted[0].value == 0
    cached = informer.get("ns", "a")
    assert cached is not None
    assert cached.value == 0


async def test_g18_a_transform_that_fails_leaves_the_object_whole(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_list(listed(10, thing("a", 3, value=1)))

    def broken(obj: Thing) -> Thing:
        raise RuntimeError("no such field")

    informer = follow(server, transform=broken)
    await run_for(informer, 1)
    cached = informer.get("ns", "a")
    assert cached is not None
    assert cached.value == 1
    assert "transform failed" in caplog.text


async def test_g19_selectors_go_to_the_server_and_leaving_them_is_a_delete(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3, app="x"))).will_watch(deleted("a", 11, app="y"))
    informer = follow(server, label_selector="app=x", field_selector="status.phase=Running", namespace="ns")
    diary = Diary()
    informer.add_handler(diary)
    await run_for(informer, 1)
    for details in server.details:
        assert details["label_selector"] == "app=x"
        assert details["field_selector"] == "status.phase=Running"
        assert details["namespace"] == "ns"
    assert diary.entries == ["add a initial", "delete a"]


async def test_g20_a_metadata_only_informer_asks_for_and_accepts_partial_objects(
    server: ScriptedServer,
) -> None:
    def partial(line: bytes) -> bytes:
        return line.replace(b'"kind":"Thing"', b'"kind":"PartialObjectMetadata"')

    server.will_list(listed(10, thing("a", 3), kind="PartialObjectMetadataList"))
    server.will_watch(partial(added("b", 11)), added("whole", 12))

    class Partial(msgspec.Struct, frozen=True):
        metadata: Metadata

    informer = Informer(server, THINGS, Partial, metadata_only=True, watch_list=False)
    await run_for(informer, 1)
    assert all(details["metadata_only"] for details in server.details)
    assert names(informer) == ["a", "b"]


class ByNamespace:
    """Hands each namespace's requests to a server of its own."""

    def __init__(self, servers: dict[str, ScriptedServer]) -> None:
        self.servers = servers

    async def list(self, resource: Resource, namespace: str | None = None, **details: Any) -> bytes:
        return await self.servers[namespace or ""].list(resource, namespace, **details)

    def watch(self, resource: Resource, namespace: str | None = None, **details: Any) -> Any:
        return self.servers[namespace or ""].watch(resource, namespace, **details)


async def test_g21_several_namespaces_each_have_their_own_version_and_sync_together() -> None:
    servers = {"east": ScriptedServer(), "west": ScriptedServer()}
    client = ByNamespace(servers)
    servers["east"].will_list(listed(10, thing("east/a", 3))).will_watch(20.0, bookmark(55))
    servers["west"].will_list(Unreachable(0, "Unreachable", ""), listed(30, thing("west/a", 4)))
    informer = MultiNamespaceInformer(
        ["west", "east"],
        lambda namespace: Informer(client, THINGS, Thing, namespace=namespace, watch_list=False),
    )
    diary = Diary()
    registration = informer.add_handler(diary)
    async with running(informer):
        await asyncio.sleep(0.5)
        assert informer.get("east", "a") is not None
        early = (informer.synced, registration.synced)
        await informer.wait_synced()
        assert (informer.synced, registration.synced) == (True, True)
        await asyncio.sleep(30)
    assert early == (False, False)
    assert len(informer.list()) == 2
    assert [obj.metadata.namespace for obj in informer.list("west")] == ["west"]
    assert informer.list("north") == []
    assert informer.get("north", "a") is None
    assert informer.version_for("east") == "55"
    assert informer.version_for("west") == "30"
    assert diary.entries == ["add a initial", "add a initial"]
    registration.remove()


async def test_g21_a_set_of_no_namespaces_is_a_mistake_not_all_of_them() -> None:
    with pytest.raises(ValueError, match="no namespace"):
        MultiNamespaceInformer([], lambda namespace: follow(ScriptedServer(), namespace=namespace))


async def test_g22_a_resync_replays_the_cache_and_asks_nothing_of_the_server(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3)))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    async with running(informer):
        await asyncio.sleep(1)
        await informer.resync()
    assert diary.entries == ["add a initial", "update a 3->3"]
    assert server.requests == ["list '0'", "watch '10'"]


async def test_g22_a_change_in_the_middle_of_a_resync_is_never_followed_by_the_older_state(
    server: ScriptedServer,
) -> None:
    things = [thing(f"t{number}", 1) for number in range(1000)]
    server.will_list(listed(10, *things)).will_watch(1.0, modified("t999", 11), deleted("t998", 12))
    informer = follow(server)
    latest: dict[str, int] = {}

    def never_back(obj: Thing) -> None:
        version = int(obj.metadata.resource_version)
        assert version >= latest.get(obj.metadata.name, 0), "an older state after a newer one"
        assert informer.get("ns", obj.metadata.name) is obj, "told of what is gone"
        latest[obj.metadata.name] = version

    handler = Handler(never_back)
    informer.add_handler(handler)
    async with running(informer):
        await informer.wait_synced()
        await asyncio.gather(informer.resync(), asyncio.sleep(1))
        await informer.resync()
    assert latest["t999"] == 11
    assert handler.entries[-1] == "update t999 11->11"
    assert handler.untrue == []


async def test_g22_a_resync_does_not_run_ahead_of_a_relist_that_is_being_told(server: ScriptedServer) -> None:
    names_of_all = [f"t{number}" for number in range(1000)]
    server.will_list(listed(10, *[thing(name, 10) for name in names_of_all]))
    # The other way round, so that a replay comes to objects whose change has not been told.
    server.will_list(listed(20, *[thing(name, 20) for name in reversed(names_of_all)]))
    server.will_watch(5.0, error(410, "Expired"))
    informer = follow(server)
    told: dict[str, Thing] = {}
    ahead: list[str] = []
    resyncs: list[asyncio.Task[None]] = []

    class InOrder(Diary):
        def on_add(self, obj: Thing, initial: bool) -> None:
            told[obj.metadata.name] = obj

        def on_update(self, old: Thing, new: Thing) -> None:
            if told[old.metadata.name] is not old:
                ahead.append(old.metadata.name)
            if not resyncs:
                resyncs.append(asyncio.create_task(informer.resync()))
            told[new.metadata.name] = new

    informer.add_handler(InOrder())
    await run_for(informer, 10)
    await asyncio.gather(*resyncs)
    assert {obj.metadata.resource_version for obj in told.values()} == {"20"}
    assert ahead == []


async def test_g22_resyncs_come_every_ten_hours_give_or_take_ten_percent(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3)))
    informer = Informer(server, THINGS, Thing, watch_list=False, rng=random.Random(5))
    times: list[float] = []

    class Timekeeper(Diary):
        def on_update(self, old: Thing, new: Thing) -> None:
            times.append(asyncio.get_running_loop().time())

    informer.add_handler(Timekeeper())
    await run_for(informer, 3.4 * RESYNC_PERIOD)
    gaps = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert len(gaps) == 3
    assert all(0.9 * RESYNC_PERIOD <= gap <= 1.1 * RESYNC_PERIOD + 1 for gap in gaps)
    assert len(set(gaps)) == 3


async def test_a_miss_after_a_cut_watch_is_seen_with_the_next_one(server: ScriptedServer) -> None:
    """A DELETE between list and watch was lost where the watch began at no version."""
    server.will_list(listed(10, thing("a", 3))).will_watch(deleted("a", 11), CLOSE)
    informer = follow(server)
    await run_for(informer, 1)
    assert server.requests[1] == "watch '10'"
    assert names(informer) == []
