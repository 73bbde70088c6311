"""A child that asks its parent: the parent answers what it likes, and a hostile child gains nothing."""

import asyncio

import pytest

from sandbox import Exited, OutputExceeded, TimedOut
from tests.sandbox.conftest import Run


async def test_a_question_gets_its_answer(run: Run) -> None:
    async def double(question: bytes) -> bytes:
        return question * 2

    outcome = await run("send(send.ask(b'ab') + send.ask(b''))", answer=double)
    assert (outcome.end, outcome.messages) == (Exited(0), (b"abab",))


async def test_an_answer_of_megabytes_arrives_whole(run: Run) -> None:
    async def large(question: bytes) -> bytes:
        return bytes(8 << 20)

    outcome = await run("send(str(len(send.ask(b''))).encode())", answer=large)
    assert outcome.messages == (str(8 << 20).encode(),)


async def test_a_question_nobody_answers_ends_the_child(run: Run) -> None:
    assert (await run("send.ask(b'?')")).end == OutputExceeded("messages")


async def test_a_frame_of_no_known_kind_ends_the_child(run: Run) -> None:
    assert (await run("os.write(3, b'\\1\\0\\0\\0x'); time.sleep(3600)")).end == OutputExceeded("messages")


async def test_a_child_that_does_not_wait_for_the_answer_ends_as_usual(run: Run) -> None:
    async def large(question: bytes) -> bytes:
        return bytes(8 << 20)

    outcome = await run("os.write(3, b'\\1\\0\\0\\0q'); send(b'bye')", answer=large)
    assert (outcome.end, outcome.messages) == (Exited(0), (b"bye",))


async def test_the_wall_time_goes_on_while_the_parent_thinks(run: Run) -> None:
    async def never(question: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    assert (await run("send.ask(b'?')", answer=never, wall_seconds=0.2)).end == TimedOut("wall")


async def test_an_error_while_answering_ends_the_run(run: Run) -> None:
    async def fail(question: bytes) -> bytes:
        raise LookupError(question)

    with pytest.raises(ExceptionGroup) as caught:
        await run("send.ask(b'?')", answer=fail)
    assert caught.group_contains(LookupError)
