"""How an end is told: outcomes of children, termination messages, and what is printed at last."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_image.console import DOCUMENT_LIMIT, print_document
from executor_image.failures import Failed, termination_message
from executor_image.memory import LEAST, POD_RESERVED, child_bytes, pod_overhead_bytes, state_bytes
from executor_image.outcomes import check_end
from messages.failure import (
    EXIT_CODES,
    REASONS_BY_EXIT_CODE,
    TERMINATION_MESSAGE_LIMIT,
    ExecutorReason,
    Failure,
)
from messages.failure import ExecutorReason as Reason
from messages.work import Stage
from sandbox import End, Exited, MemoryExceeded, Outcome, OutputExceeded, Signaled, TimedOut


def an_outcome(end: End) -> Outcome:
    return Outcome(
        end=end,
        messages=(),
        stdout=b"",
        stderr=b"last words\n",
        wall_seconds=1.0,
        cpu_seconds=1.0,
        peak_rss_bytes=1 << 20,
        layers=frozenset(),
    )


@pytest.mark.parametrize(
    ("end", "building", "running"),
    [
        (Exited(1), Reason.USER_CODE_EXITED, Reason.EXECUTOR_CRASHED),
        (Signaled(signal.SIGSEGV), Reason.EXECUTOR_CRASHED, Reason.EXECUTOR_CRASHED),
        (TimedOut("wall"), Reason.EXECUTION_TIMEOUT, Reason.EXECUTION_TIMEOUT),
        (MemoryExceeded(), Reason.OUT_OF_MEMORY, Reason.OUT_OF_MEMORY),
        (OutputExceeded("messages"), Reason.CIRCUIT_INVALID, Reason.RESULT_TOO_LARGE),
    ],
)
def test_each_end_has_a_reason(end: End, building: Reason, running: Reason) -> None:
    for stage, expected in ((Stage.BUILDING, building), (Stage.RUNNING, running)):
        with pytest.raises(Failed) as failed:
            check_end(an_outcome(end), stage, 10, 1 << 30)
        assert failed.value.reason is expected
        assert failed.value.exit_code == EXIT_CODES[expected]


def test_a_crash_is_named_and_its_last_words_are_kept() -> None:
    with pytest.raises(Failed, match="ended by SIGSEGV while running") as failed:
        check_end(an_outcome(Signaled(11)), Stage.RUNNING, 10, None)
    assert failed.value.failure.traceback == "last words"


def test_what_is_too_large_is_told_the_bound_and_what_to_do() -> None:
    for stage, said in (
        (Stage.BUILDING, "the circuits take more than 64 MiB, the most that one job may have; build fewer"),
        (
            Stage.RUNNING,
            "the counts take more than 64 MiB, the most that one job may have wherever they go; use",
        ),
    ):
        with pytest.raises(Failed) as failed:
            check_end(an_outcome(OutputExceeded("messages")), stage, 10, None)
        assert failed.value.failure.message.startswith(said)


def test_a_good_end_is_none() -> None:
    check_end(an_outcome(Exited(0)), Stage.BUILDING, 10, None)


@given(
    st.sampled_from(list(ExecutorReason)), st.text(), st.none() | st.text(), st.none() | st.integers(1, 10**9)
)
def test_a_termination_message_fits_and_can_be_read(
    reason: ExecutorReason, message: str, traceback: str | None, line: int | None
) -> None:
    repeated = Failure(
        reason=reason, message=message * 50, line=line, traceback=traceback and traceback * 500
    )
    for failure in (repeated, Failure(reason=reason, message=message, line=line, traceback=traceback)):
        encoded = termination_message(failure)
        assert len(encoded) <= TERMINATION_MESSAGE_LIMIT
        decoded = msgspec.json.decode(encoded, type=Failure)
        assert (decoded.reason, decoded.line) == (reason, line)
        assert "\n" not in decoded.message


def test_a_long_traceback_loses_its_beginning() -> None:
    failure = Failure(reason="UserCodeError", message="it failed", traceback="begin" + "x" * 9000 + "the end")
    decoded = msgspec.json.decode(termination_message(failure), type=Failure)
    assert decoded.traceback is not None
    assert decoded.traceback.endswith("the end")
    assert len(decoded.traceback) > 2000


def test_exit_codes_tell_reasons_apart() -> None:
    assert len(REASONS_BY_EXIT_CODE) == len(ExecutorReason)


def a_document(outcomes: int) -> dict[str, Any]:
    counts = {f"{n:060b}": outcomes - n for n in range(outcomes)}
    return {"schema": "x", "results": {"counts": counts, "shots": 1, "success": True}}


def printed(document: dict[str, Any], tmp_path: Any) -> tuple[str, bytes]:
    path = tmp_path / "log"
    with path.open("wb") as log:
        said = print_document(document, msgspec.json.encode(document), log.fileno())
    return said, path.read_bytes()


def test_a_document_is_printed_as_one_line(tmp_path: Any) -> None:
    document = a_document(3)
    said, content = printed(document, tmp_path)
    assert said == "the whole result is in the pod's log (kubectl logs)"
    assert json.loads(content) == document
    assert content.strip().count(b"\n") == 0


def test_of_a_huge_document_the_most_frequent_outcomes_are_printed(tmp_path: Any) -> None:
    said, content = printed(a_document(200_000), tmp_path)
    assert len(content) < DOCUMENT_LIMIT
    results = json.loads(content)["results"]
    assert results["truncated"] is True
    kept = len(results["counts"])
    assert said.startswith(f"the {kept} most frequent outcomes")
    assert min(results["counts"].values()) == 200_000 - kept + 1


def test_the_memory_of_a_pod_is_shared_out() -> None:
    limit = 2 << 30
    assert state_bytes(limit) + pod_overhead_bytes() == limit
    assert (child_bytes(limit, threads=1) or 0) > state_bytes(limit)
    assert (child_bytes(1 << 20, threads=1) or 0) >= LEAST
    assert state_bytes(1 << 20) == 0
    assert child_bytes(None, threads=4) is None
    assert 0 < state_bytes(None) < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert limit > POD_RESERVED
