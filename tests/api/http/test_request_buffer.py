"""When a request is whole, however its bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.api.http.request_buffer import MAX_HEAD_BYTES, RequestBuffer

MAX_BODY = 1000
HEAD = b"POST /a/ HTTP/1.1\r\nHost: x\r\n"
WHOLE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    HEAD + b"Content-Length: 5\r\n\r\nabcde",
    HEAD + b"content-LENGTH:5  \r\nX: y\r\n\r\nabcde",
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nA;x=y\r\n0\r\n\r\n67890\r\n0\r\nTrailer: t\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
]


@given(st.sampled_from(WHOLE), st.data())
def test_it_is_whole_with_its_last_byte_and_not_before(request: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(request) - 1), max_size=6)))
    buffer = RequestBuffer(MAX_BODY)
    for begin, end in zip([0, *cuts], [*cuts, len(request) - 1], strict=True):
        buffer.feed(request[begin:end])
        assert not buffer.whole
    buffer.feed(request[-1:])
    assert buffer.whole and not buffer.cut and buffer.take() == request and len(buffer) == 0


@pytest.mark.parametrize("request_bytes", WHOLE)
def test_what_comes_behind_it_is_kept(request_bytes: bytes) -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(request_bytes + WHOLE[0])
    assert buffer.whole and buffer.take() == request_bytes + WHOLE[0]


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 1001\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFF\r\n" + b"a" * 5000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 9000,
    ],
)
def test_what_is_malformed_or_too_much_is_not_waited_for(data: bytes) -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(data)
    assert buffer.whole and buffer.cut and not buffer.head_too_long


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_too_many_headers_are_not_waited_for(end: bytes) -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 6 + 10) + end)
    assert buffer.whole and buffer.cut and buffer.head_too_long


def test_it_knows_who_waits_to_be_told_to_go_on() -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert buffer.expects and buffer.in_body and not buffer.whole


@pytest.mark.parametrize("chunks", [b"nonsense\r\n", b"1\r\nabc\r\n", b"a" * 9000])
def test_what_is_no_chunk_is_not_waited_for(chunks: bytes) -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert buffer.whole and buffer.cut and buffer.malformed


def test_chunks_that_are_too_much_are_announced_as_a_body_that_is_too_long() -> None:
    buffer = RequestBuffer(MAX_BODY)
    buffer.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"a" * 1024)
    assert buffer.cut and b"\r\nContent-Length: 1001\r\n" in buffer.take()
