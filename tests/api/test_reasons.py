"""The list of reasons is complete, and agrees with what executors report."""

from __future__ import annotations

from api.reasons import REASONS, Reason, Recovery, is_retried
from messages.failure import ExecutorReason


def test_every_reason_has_its_text_and_nothing_else_has() -> None:
    assert set(REASONS) == set(Reason)
    for text in REASONS.values():
        assert text.meaning.endswith(".")
        assert text.remedy.endswith((".", "`"))
        assert "\n" not in text.meaning + text.remedy


def test_whatever_an_executor_reports_is_a_reason() -> None:
    assert {reason.value for reason in ExecutorReason} <= {reason.value for reason in Reason}


def test_only_failures_that_another_attempt_can_mend_are_retried() -> None:
    retried = {reason for reason in Reason if is_retried(reason)}
    assert retried == {
        Reason.POD_EVICTED,
        Reason.NODE_LOST,
        Reason.EXECUTOR_LOST,
        Reason.QUOTA_EXCEEDED,
        Reason.GATEWAY_UNAVAILABLE,
        Reason.VALIDATION_UNAVAILABLE,
        Reason.PROVIDER_UNAVAILABLE,
    }
    assert not is_retried("ReasonOfAnotherRelease")


def test_waiting_in_place_is_for_what_may_yet_come() -> None:
    waiting = {reason for reason, text in REASONS.items() if text.recovery is Recovery.AFTER_PENDING}
    assert waiting == {Reason.SOURCE_NOT_FOUND, Reason.UNSCHEDULABLE, Reason.IMAGE_PULL_FAILED}
