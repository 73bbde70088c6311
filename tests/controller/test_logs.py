"""Logs: one line of JSON each, with context, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from controller.logs import REDACTED, configure_logging, redact

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJhdWQiOlsicXVhbnR1bSJdfQ.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_logger_and_context(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream)
    with structlog.contextvars.bound_contextvars(job="bell", uid="1234", attempt=2):
        structlog.get_logger("reconciler").info("submitted", pod="bell-1")
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "submitted",
        "level": "info",
        "logger": "reconciler",
        "job": "bell",
        "uid": "1234",
        "attempt": 2,
        "pod": "bell-1",
    }


def test_lines_of_the_standard_library_have_the_same_shape_and_context(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream)
    with structlog.contextvars.bound_contextvars(job="bell"):
        logging.getLogger("informers.reflector").warning("%s: relist", "pods")
    (line,) = lines(stream)
    assert line["event"] == "pods: relist"
    assert (line["job"], line["level"], line["logger"]) == ("bell", "warning", "informers.reflector")


@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_a_threshold(
    stream: io.StringIO, level: Literal["debug", "info", "warning", "error"], expected: int
) -> None:
    configure_logging(level, "json", stream)
    log = structlog.get_logger("x")
    log.debug("a"), log.info("b"), log.warning("c"), log.error("d")
    assert len(lines(stream)) == expected


def test_text_for_people_names_the_event_and_the_values(stream: io.StringIO) -> None:
    configure_logging("info", "console", stream)
    structlog.get_logger("x").info("submitted", pod="bell-1")
    assert "submitted" in stream.getvalue()
    assert "pod=bell-1" in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_reaches_the_log_by_any_way(
    stream: io.StringIO, format_: Literal["json", "console"]
) -> None:
    configure_logging("debug", format_, stream)
    log = structlog.get_logger("x")
    log.info("a", token="hunter2hunter2", headers={"Authorization": "Bearer hunter2hunter2"})
    log.info(f"got {JWT} from a pod")
    log.info("b", error="401 for https://user:hunter2hunter2@host/ with bearer hunter2hunter2==")
    log.info("c", nested=[{"apiKey": "hunter2hunter2"}, ("x", {"client_secret": "hunter2hunter2"})])
    log.info("d", text="-----BEGIN EC PRIVATE KEY-----\nhunter2hunter2\n-----END EC PRIVATE KEY-----")
    logging.getLogger("lib").info("password is in %s", {"password": "hunter2hunter2"}["password"] and JWT)
    try:
        raise ValueError(f"refused: {JWT}")
    except ValueError:
        log.exception("e")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert JWT.split(".")[1] not in text
    assert text.count(REDACTED) >= 8


def test_what_only_names_a_secret_stays_readable() -> None:
    event = redact(
        None,
        "info",
        {
            "secret_name": "ibm-quantum-credentials",
            "token_file": "/var/run/token",
            "tokens_count": 3,
            "key": "a/b",
        },
    )
    assert event == {
        "secret_name": "ibm-quantum-credentials",
        "token_file": "/var/run/token",
        "tokens_count": 3,
        "key": "a/b",
    }


def test_what_is_nested_too_deep_to_search_is_not_trusted() -> None:
    deep: Any = "hunter2"
    for _ in range(20):
        deep = {"inner": deep}
    assert "hunter2" not in str(redact(None, "info", {"deep": deep}))


def test_a_value_that_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream)
    structlog.get_logger("x").info("a", path=object, seen={1, 2})
    (line,) = lines(stream)
    assert line["path"] == "<class 'object'>"
