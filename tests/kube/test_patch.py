"""Merge patches: what they make of an object, and that nothing to do is nothing to send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube import CONFIG_MAPS, Client, merge_patch_between, struct_patch

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No example fails because the machine is busy."""

scalars = st.integers() | st.text(max_size=3)
objects = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), scalars | st.lists(scalars, max_size=2), max_size=4),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner | scalars, max_size=4),
    max_leaves=8,
)


def patched(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


@unhurried
@given(objects, objects)
def test_the_patch_between_two_states_leads_from_one_to_the_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert patched(old, merge_patch_between(old, new)) == new


@unhurried
@given(objects)
def test_between_a_state_and_itself_there_is_nothing_to_send(state: dict[str, Any]) -> None:
    assert merge_patch_between(state, state) == {}


class Inner(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    some_name: str | None = None
    numbers: dict[str, int] = {}


class Outer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    count: int = 0
    on: bool = False
    first_part: Inner | None = None
    second_part: Inner = Inner()
    entries: tuple[Inner, ...] = ()


inners = st.builds(
    Inner,
    st.none() | st.sampled_from(["", "a", "b"]),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 1)),
)
outers = st.builds(
    Outer,
    st.integers(0, 2),
    st.booleans(),
    st.none() | inners,
    inners,
    st.lists(inners, max_size=2).map(tuple),
)


@unhurried
@given(outers, outers)
def test_structs_differ_as_their_dictionaries_do(old: Outer, new: Outer) -> None:
    assert struct_patch(old, new) == merge_patch_between(msgspec.to_builtins(old), msgspec.to_builtins(new))


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1, "b": None}, {}),
        ({"a": 1, "b": None}, {"a": 1}, {}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"s": {"x": 1, "y": 2}}, {"s": {"x": 1, "y": 3}}, {"s": {"y": 3}}),
        ({"s": {"x": 1}}, {"s": {}}, {"s": {"x": None}}),
        ({"l": [1, 2]}, {"l": [2]}, {"l": [2]}),
        ({"l": [1]}, {"l": {"x": 1}}, {"l": {"x": 1}}),
    ],
)
def test_a_patch_holds_what_changed_and_nothing_else(
    old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert merge_patch_between(old, new) == patch


@pytest.mark.cluster
async def test_the_api_server_reads_the_patch_as_we_do(client: Client, namespace: str) -> None:
    old = await client.create(
        CONFIG_MAPS, {"metadata": {"name": "patched"}, "data": {"a": "1", "b": "2"}}, namespace
    )
    new = {**old, "data": {"a": "1", "c": "3"}}
    result = await client.merge_patch(CONFIG_MAPS, "patched", merge_patch_between(old, new), namespace)
    assert result["data"] == new["data"]
