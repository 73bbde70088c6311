"""Asking the validation service, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from messages.validation import FetchRequest, ValidateRequest, ValidateResponse
from reconcilers.job.validation import (
    BUSY_SECONDS,
    ValidationRefused,
    ValidationService,
    ValidationUnavailable,
)
from tests.kube.wire import speaking
from tests.reconcilers.validation_stub import VALID, ValidationStub, content_fetched

REQUEST = ValidateRequest(code="qc = ...")


@pytest.fixture
async def service(validation: ValidationStub) -> AsyncIterator[ValidationService]:
    async with ValidationService(validation.url + "/") as service:
        yield service


async def test_a_circuit_is_looked_at(service: ValidationService, validation: ValidationStub) -> None:
    assert await service.validate(REQUEST) == VALID
    assert validation.validated == [REQUEST]


async def test_a_source_is_fetched(service: ValidationService, validation: ValidationStub) -> None:
    validation.fetched = lambda _: content_fetched(b"\x00QPY", revision="abc1234")
    fetched = await service.fetch(FetchRequest(url="https://circuits.example.org/bell.qpy"))
    assert (fetched.content, fetched.revision) == (b"\x00QPY", "abc1234")


async def test_a_large_source_is_read_to_its_end(
    service: ValidationService, validation: ValidationStub
) -> None:
    """It comes in many pieces; the largest that a ConfigMap holds is meant to come through."""
    source = bytes(range(256)) * 3900
    validation.fetched = lambda _: content_fetched(source)
    assert (await service.fetch(FetchRequest(url="https://circuits.example.org/large"))).content == source


async def test_an_answer_without_an_end_is_given_up(
    service: ValidationService, validation: ValidationStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconcilers.job.validation.ANSWER_LIMIT", 1 << 20)
    validation.fetched = lambda _: content_fetched(bytes(1 << 20))
    with pytest.raises(ValidationUnavailable, match="longer than"):
        await service.fetch(FetchRequest(url="https://circuits.example.org/endless"))


async def test_a_busy_service_is_asked_again_when_it_said(validation: ValidationStub) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    answers: Iterator[ValidateResponse | int] = iter([429, 429, VALID])
    validation.answer = lambda _: next(answers)
    async with ValidationService(validation.url, sleep=sleep) as service:
        assert await service.validate(REQUEST) == VALID
    assert waits == [0.1, 0.1]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("0", 0.05),
        ("-1", 0.05),
        ("inf", 60.0),
        ("nan", BUSY_SECONDS),
        ("soon", BUSY_SECONDS),
        ("", BUSY_SECONDS),
    ],
)
async def test_no_busy_service_is_asked_without_a_pause(header: str, wait: float) -> None:
    busy = f"HTTP/1.1 429 Busy\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    gone = b"HTTP/1.1 503 Gone\r\nContent-Length: 0\r\n\r\n"
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with (
        speaking(lambda _wire, _connection, request: gone if request else busy) as wire,
        ValidationService(wire.url, sleep=sleep) as service,
    ):
        with pytest.raises(ValidationUnavailable):
            await service.validate(REQUEST)
    assert waits == [wait]


@pytest.mark.parametrize("status", [500, 502, 503, 404])
async def test_no_proper_answer_is_unavailable(
    service: ValidationService, validation: ValidationStub, status: int
) -> None:
    validation.answer = lambda _: status
    with pytest.raises(ValidationUnavailable, match=str(status)):
        await service.validate(REQUEST)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_is_not_taken_is_refused(
    service: ValidationService, validation: ValidationStub, status: int
) -> None:
    validation.answer = lambda _: status
    with pytest.raises(ValidationRefused):
        await service.validate(REQUEST)


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with ValidationService(f"http://127.0.0.1:{port}") as service:
        with pytest.raises(ValidationUnavailable, match="cannot be reached"):
            await service.validate(REQUEST)


@pytest.mark.parametrize(
    "body",
    [b"<html>a proxy speaks</html>", b'{"message":"\xff"}', b'{"a":' + b"[" * 100_000],
    ids=["no JSON", "no text", "no bottom"],
)
async def test_an_answer_that_cannot_be_read_is_unavailable(body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with ValidationService(f"http://127.0.0.1:{port}") as service:
            with pytest.raises(ValidationUnavailable, match="cannot be read"):
                await service.validate(REQUEST)
