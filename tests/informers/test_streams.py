"""What a stream may contain, and what becomes of it (G12, G13)."""

from __future__ import annotations

import pytest

from tests.informers.scripted import (
    Diary,
    ScriptedServer,
    added,
    bookmark,
    deleted,
    error,
    event,
    follow,
    listed,
    names,
    run_for,
    thing,
)

pytestmark = pytest.mark.looptime


async def test_g12_an_error_event_relists_and_drops_what_the_server_can_no_longer_read(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10, thing("broken", 3), thing("a", 4)), listed(20, thing("a", 4)))
    server.will_watch(
        5.0, error(500, "InternalError", "unable to transform or decode object: StoreReadError")
    )
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '20'"]
    assert names(informer) == ["a"]


@pytest.mark.parametrize(
    "odd",
    [
        event("SHRUGGED", thing("x", 12)),
        event(
            "ADDED",
            {"kind": "Gadget", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "12"}},
        ),
        event("ADDED", {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [], "metadata": {}}),
        event("MODIFIED", {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {}}),
        event("ADDED", {"kind": "Thing", "metadata": {"name": "x"}}),
    ],
    ids=["unknown type", "other kind", "Table", "Status", "no version"],
)
async def test_g13_what_is_no_event_of_ours_is_skipped_and_the_stream_goes_on(
    server: ScriptedServer, odd: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_list(listed(10)).will_watch(odd, added("a", 13))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["a"]
    assert server.requests == ["list '0'", "watch '10'"]
    assert "things: " in caplog.text


@pytest.mark.parametrize(
    "broken",
    [
        added("x", 12)[:-20],
        b"<html><body>502 Bad Gateway</body></html>",
        added("x", 12) + b"}",
        b'{"type":"ADDED","object":{"kind":"Thing","metadata":{"name":"\xff\xfe"}}}',
        b"[" * 100_000,
        b'{"message":"unauthorized"}',
    ],
    ids=["truncated", "HTML", "trailing bytes", "not UTF-8", "nested too deep", "another JSON"],
)
async def test_g13_a_line_that_cannot_be_decoded_ends_the_stream_and_is_never_half_used(
    server: ScriptedServer, broken: bytes
) -> None:
    server.will_list(listed(10), listed(20, thing("a", 13)))
    server.will_watch(broken, added("never-read", 14))
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '20'"]
    assert names(informer) == ["a"]


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", listed(10)[:-5], listed(10, kind="Table"), b"[]", b"{}"]
)
async def test_g13_a_list_that_is_no_list_counts_as_failed(server: ScriptedServer, body: bytes) -> None:
    server.will_list(body, listed(10, thing("a", 3)))
    informer = follow(server)
    await run_for(informer, 5)
    assert server.requests == ["list '0'", "list '0'", "watch '10'"]
    assert names(informer) == ["a"]


async def test_one_object_that_does_not_fit_the_type_blinds_nobody_to_the_others(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    odd = thing("odd", 4) | {"value": "a string"}
    server.will_list(listed(10, odd, thing("a", 3))).will_watch(event("MODIFIED", odd), added("b", 12))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["a", "b"]
    assert "ns/odd" in caplog.text


@pytest.mark.parametrize("watch_list", [False, True])
async def test_an_object_that_becomes_unreadable_is_kept_as_it_was_by_a_relist(
    server: ScriptedServer, watch_list: bool
) -> None:
    odd = thing("odd", 14) | {"value": "a string"}
    server.will_list(listed(10, thing("odd", 4), thing("a", 3)), listed(20, odd))
    end = (bookmark(11), 5.0, error(410, "Expired"))
    if watch_list:
        server.will_watch(added("odd", 4), added("a", 3), bookmark(10, initial_end=True), *end)
        server.will_watch(event("ADDED", odd), bookmark(20, initial_end=True))
    else:
        server.will_watch(*end)
    informer = follow(server, watch_list=watch_list)
    await run_for(informer, 10)
    assert names(informer) == ["odd"]
    assert informer.get("ns", "odd").metadata.resource_version == "4"  # type: ignore[union-attr]


@pytest.mark.parametrize("watch_list", [False, True])
async def test_an_object_that_is_deleted_when_it_cannot_be_read_is_no_ghost(
    server: ScriptedServer, watch_list: bool
) -> None:
    """Its last state does not fit the type either; skipped, the deletion would never be heard of."""
    odd = thing("odd", 14) | {"value": "a string"}
    gone = event("DELETED", odd | {"metadata": odd["metadata"] | {"resourceVersion": "15"}})
    unreadable = event("MODIFIED", odd)
    if watch_list:
        server.will_watch(added("odd", 4), added("a", 3), bookmark(10, initial_end=True), unreadable, gone)
        server.will_watch(added("a", 3), bookmark(20, initial_end=True))
    else:
        server.will_list(listed(10, thing("odd", 4), thing("a", 3)), listed(20, thing("a", 3)))
        server.will_watch(unreadable, gone)
    informer, diary = follow(server, watch_list=watch_list), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert names(informer) == ["a"]
    assert diary.entries[-1] == "delete odd unseen"


async def test_an_unreadable_deletion_among_the_initial_events_keeps_nothing(server: ScriptedServer) -> None:
    odd = thing("odd", 14) | {"value": "a string"}
    server.will_watch(added("odd", 4), bookmark(10, initial_end=True), 5.0, error(410, "Expired"))
    server.will_watch(event("ADDED", odd), event("DELETED", odd), bookmark(20, initial_end=True))
    server.will_list(listed(20))
    informer = follow(server, watch_list=True)
    await run_for(informer, 20)
    assert names(informer) == []


async def test_events_from_the_past_are_never_applied_but_lead_to_a_relist(server: ScriptedServer) -> None:
    """Old events replayed after a reconnect brought deleted objects back to life elsewhere."""
    server.will_list(listed(10), listed(40, thing("a", 30)))
    server.will_watch(added("a", 30), deleted("b", 31), added("b", 12))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '31'", "watch '40'"]
    assert diary.entries == ["add a"]


async def test_a_line_of_eight_megabytes_is_read_like_any_other(server: ScriptedServer) -> None:
    large = thing("large", 12) | {"padding": "x" * 8_000_000}
    server.will_list(listed(10)).will_watch(event("ADDED", large))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["large"]
