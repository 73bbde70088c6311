"""What the store promises (G7, G8, G17): objects and indexes agree, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from informers.key import Key
from informers.store import Store
from tests.informers.scripted import Metadata, Thing


def a_thing(name: str, rv: int, *, namespace: str = "ns", uid: str = "", **labels: str) -> Thing:
    return Thing(Metadata(name, namespace, uid or f"uid-{name}", str(rv), labels))


def by_colours(obj: Thing) -> Iterable[str]:
    """Several values: "red,blue" files the object under both."""
    return filter(None, obj.metadata.labels.get("colours", "").split(","))


@pytest.fixture
def store() -> Store[Thing]:
    return Store({"colour": by_colours})


def names(things: Iterable[Thing]) -> list[str]:
    return sorted(obj.metadata.name for obj in things)


def test_g17_an_object_is_found_under_each_of_its_values(store: Store[Thing]) -> None:
    store.put(a_thing("a", 1, colours="red,blue"))
    store.put(a_thing("b", 2, colours="blue"))
    store.put(a_thing("c", 3))
    assert names(store.by_index("colour", "red")) == ["a"]
    assert names(store.by_index("colour", "blue")) == ["a", "b"]
    assert store.by_index("colour", "green") == []


def test_g17_an_update_moves_the_object_between_values(store: Store[Thing]) -> None:
    store.put(a_thing("a", 1, colours="red,blue"))
    store.put(a_thing("a", 2, colours="blue,green"))
    assert store.by_index("colour", "red") == []
    assert store.by_index("colour", "blue") == [store.get(Key("ns", "a"))]
    assert names(store.by_index("colour", "green")) == ["a"]


def test_g17_empty_buckets_are_dropped(store: Store[Thing]) -> None:
    """One bucket an owner UID: kept for ever they would be a leak."""
    for number in range(100):
        store.put(a_thing(f"t{number}", number + 1, colours=f"colour-{number}", namespace=f"ns-{number}"))
        store.delete(Key(f"ns-{number}", f"t{number}"))
    assert store.index_values("colour") == []
    assert store._namespaces == {}


def test_g17_an_indexer_that_fails_hides_the_object_from_that_index_only(
    store: Store[Thing], caplog: pytest.LogCaptureFixture
) -> None:
    def breaks_on_b(obj: Thing) -> list[str]:
        if obj.metadata.name == "b":
            raise RuntimeError("no such field")
        return ["all"]

    store = Store({"colour": by_colours, "fragile": breaks_on_b})
    store.put(a_thing("a", 1, colours="red"))
    store.put(a_thing("b", 2, colours="red"))
    assert names(store.by_index("fragile", "all")) == ["a"]
    assert names(store.by_index("colour", "red")) == ["a", "b"]
    store.delete(Key("ns", "b"))
    assert names(store.list()) == ["a"]
    assert "index fragile failed for ns/b" in caplog.text


def test_an_unknown_index_is_a_programming_error(store: Store[Thing]) -> None:
    with pytest.raises(KeyError):
        store.by_index("size", "large")


def test_objects_are_listed_by_namespace(store: Store[Thing]) -> None:
    store.put(a_thing("a", 1, namespace="east"))
    store.put(a_thing("a", 2, namespace="west"))
    assert [obj.metadata.namespace for obj in store.list("west")] == ["west"]
    assert store.list("north") == []
    assert len(store) == 2


def test_g7_replace_yields_only_what_differs_with_deletions_first(store: Store[Thing]) -> None:
    store.put(a_thing("same", 1))
    store.put(a_thing("changed", 2))
    store.put(a_thing("gone", 3))
    changes = store.replace([a_thing("same", 1), a_thing("changed", 9), a_thing("new", 8)])
    assert [(change.key.name, change.old is None, change.new is None) for change in changes] == [
        ("gone", False, True),
        ("changed", False, False),
        ("new", True, False),
    ]


def test_g7_what_a_replace_deletes_carries_its_last_known_state(store: Store[Thing]) -> None:
    store.put(a_thing("gone", 3, colours="red"))
    (change,) = store.replace([])
    assert change.old == a_thing("gone", 3, colours="red")
    assert store.by_index("colour", "red") == []


def test_g7_keys_to_keep_are_not_deleted_by_a_replace(store: Store[Thing]) -> None:
    store.put(a_thing("unreadable-now", 3))
    assert store.replace([], keep={Key("ns", "unreadable-now")}) == []
    assert len(store) == 1


def test_g8_the_same_name_with_another_uid_is_an_update_even_at_the_same_version(store: Store[Thing]) -> None:
    store.put(a_thing("a", 3, uid="first"))
    (change,) = store.replace([a_thing("a", 3, uid="second")])
    assert change.old is not None
    assert change.new is not None
    assert change.old.metadata.uid == "first"
    assert change.new.metadata.uid == "second"


def test_an_event_that_comes_twice_changes_nothing(store: Store[Thing]) -> None:
    store.put(a_thing("a", 3))
    assert store.put(a_thing("a", 3)) is None
    store.delete(Key("ns", "a"))
    assert store.delete(Key("ns", "a")) is None


NAMES = st.sampled_from(["a", "b", "c", "d"])
NAMESPACES = st.sampled_from(["east", "west"])
COLOURS = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3).map(",".join)


class StoreMachine(RuleBasedStateMachine):
    """Random puts, deletes and replaces against a dict that is searched from end to end."""

    @initialize()
    def begin(self) -> None:
        self.store = Store[Thing]({"colour": by_colours})
        self.model: dict[Key, Thing] = {}
        self.versions = 0

    def make(self, namespace: str, name: str, colours: str) -> Thing:
        self.versions += 1
        uid = f"uid-{self.versions % 3}"
        return a_thing(name, self.versions, namespace=namespace, uid=uid, colours=colours)

    @rule(namespace=NAMESPACES, name=NAMES, colours=COLOURS)
    def put(self, namespace: str, name: str, colours: str) -> None:
        obj = self.make(namespace, name, colours)
        change = self.store.put(obj)
        assert change == (Key(namespace, name), self.model.get(Key(namespace, name)), obj)
        self.model[Key(namespace, name)] = obj

    @rule(namespace=NAMESPACES, name=NAMES)
    def delete(self, namespace: str, name: str) -> None:
        change = self.store.delete(Key(namespace, name))
        old = self.model.pop(Key(namespace, name), None)
        assert (change is None) == (old is None)

    @rule(
        places=st.lists(st.tuples(NAMESPACES, NAMES, COLOURS, st.booleans()), max_size=6),
        keep=st.sets(st.tuples(NAMESPACES, NAMES), max_size=2),
    )
    def replace(self, places: list[tuple[str, str, str, bool]], keep: set[tuple[str, str]]) -> None:
        target: dict[Key, Thing] = {}
        for namespace, name, colours, unchanged in places:
            key = Key(namespace, name)
            same = self.model.get(key) if unchanged else None
            target[key] = same or self.make(namespace, name, colours)
        kept = {Key(*pair) for pair in keep}
        changes = self.store.replace(target.values(), kept)
        expected = target | {key: obj for key, obj in self.model.items() if key in kept and key not in target}
        # Applying the changes to the old content must give the new one, each key at most once.
        replayed = dict(self.model)
        for change in changes:
            assert replayed.get(change.key) == change.old
            if change.new is None:
                del replayed[change.key]
            else:
                replayed[change.key] = change.new
        assert replayed == expected
        assert len({change.key for change in changes}) == len(changes)
        self.model = expected

    @invariant()
    def objects_and_indexes_agree(self) -> None:
        assert {key: self.store.get(key) for key in list(self.store.keys())} == self.model
        for namespace in ("east", "west"):
            wanted = [obj for key, obj in self.model.items() if key.namespace == namespace]
            assert names(self.store.list(namespace)) == names(wanted)
        used: set[str] = set()
        for colour in ("red", "green", "blue"):
            wanted = [obj for obj in self.model.values() if colour in by_colours(obj)]
            found = self.store.by_index("colour", colour)
            assert names(found) == names(wanted)
            assert all(any(obj is other for other in self.model.values()) for obj in found)
            used |= {colour} if wanted else set()
        assert set(self.store.index_values("colour")) == used


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
