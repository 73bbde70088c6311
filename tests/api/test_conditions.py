"""Setting conditions: transition times, order, and no change where nothing changed."""

from __future__ import annotations

from api.conditions import MESSAGE_LIMIT, Condition, find_condition, is_true, set_condition

EARLIER, NOW = "2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z"


def a_list() -> tuple[Condition, ...]:
    conditions = set_condition((), "Validated", "True", "CircuitValid", "2 qubits", EARLIER, 1)
    return set_condition(conditions, "Submitted", "False", "WaitingForPod", "", EARLIER, 1)


def test_the_same_condition_again_is_the_same_tuple() -> None:
    conditions = a_list()
    assert set_condition(conditions, "Validated", "True", "CircuitValid", "2 qubits", NOW, 1) is conditions


def test_a_new_status_is_a_transition_and_keeps_its_place() -> None:
    conditions = set_condition(a_list(), "Validated", "False", "NoCircuit", "no circuit", NOW, 2)
    assert [condition.type for condition in conditions] == ["Validated", "Submitted"]
    assert conditions[0] == Condition(
        type="Validated",
        status="False",
        reason="NoCircuit",
        message="no circuit",
        last_transition_time=NOW,
        observed_generation=2,
    )
    assert conditions[1] == a_list()[1]


def test_a_new_message_is_no_transition() -> None:
    changed = find_condition(
        set_condition(a_list(), "Submitted", "False", "ImagePull", "x", NOW, 1), "Submitted"
    )
    assert changed is not None
    assert changed.last_transition_time == EARLIER
    assert changed.reason == "ImagePull"


def test_only_true_is_true() -> None:
    conditions = set_condition(a_list(), "Complete", "Unknown", "Waiting", "", NOW, 1)
    assert is_true(conditions, "Validated")
    assert not any(is_true(conditions, type_) for type_ in ("Submitted", "Complete", "Failed"))


def test_a_long_message_is_cut_visibly() -> None:
    (condition,) = set_condition((), "Failed", "True", "UserCodeError", "x" * 5000, NOW, 1)
    assert len(condition.message) == MESSAGE_LIMIT
    assert condition.message.endswith("…")
