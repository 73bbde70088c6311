"""Frames keep their bounds however the bytes that carry them are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.frames import FrameReader, FramesTooLarge, frame

PREFIX = 4
cuts = st.lists(st.integers(1, 40), min_size=1)
contents = st.lists(st.binary(max_size=30), min_size=1, max_size=20)


def chunks(stream: bytes, sizes: list[int]) -> list[bytes]:
    cut: list[bytes] = []
    while stream:
        size = sizes[len(cut) % len(sizes)]
        cut.append(stream[:size])
        stream = stream[size:]
    return cut


def read(reader: FrameReader, parts: list[bytes]) -> list[bytes]:
    return [content for part in parts for content in reader.feed(part)]


@given(contents, cuts)
def test_frames_come_out_whole_and_in_order_at_exactly_the_limit(sent: list[bytes], sizes: list[int]) -> None:
    limit = sum(PREFIX + len(content) for content in sent[1:])
    reader = FrameReader(limit, first=PREFIX + len(sent[0]))
    assert read(reader, chunks(b"".join(map(frame, sent)), sizes)) == sent


@given(contents, cuts)
def test_one_byte_beyond_the_limit_is_too_many(sent: list[bytes], sizes: list[int]) -> None:
    limit = sum(PREFIX + len(content) for content in sent[1:])
    reader = FrameReader(limit, first=PREFIX + len(sent[0]))
    with pytest.raises(FramesTooLarge):
        read(reader, chunks(b"".join(map(frame, [*sent, b""])), sizes))


def test_what_the_first_frame_leaves_of_its_allowance_is_nobodys() -> None:
    reader = FrameReader(PREFIX + 1, first=1000)
    assert reader.feed(frame(b"hello")) == [b"hello"]
    with pytest.raises(FramesTooLarge):
        reader.feed(frame(b"ab"))


def test_an_announcement_beyond_the_limit_is_refused_before_anything_of_it_came() -> None:
    with pytest.raises(FramesTooLarge):
        FrameReader(100, first=100).feed(b"\xff\xff\xff\xff")
