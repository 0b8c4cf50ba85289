"""SPDY/3.1 frames: one side's bytes are the other side's frames."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.embedded.apiserver.streaming import spdy
from clusters.embedded.apiserver.streaming.spdy import Frame, Framer, SpdyError

_TEXT = st.text(st.characters(codec="ascii", exclude_categories=("Cc", "Cs"), exclude_characters="\0"), max_size=30)


@given(st.lists(st.dictionaries(_TEXT.map(str.lower), _TEXT, max_size=5), min_size=1, max_size=5), st.integers(1, 50))
def test_headers_arrive_as_they_were_sent(sent: list[dict[str, str]], step: int) -> None:
    """Whatever the pieces in which the bytes come, and with the compression's state carried from frame to frame."""
    client, server = Framer(), Framer()
    raw = b"".join(client.syn_stream(2 * number + 1, headers, fin=True) for number, headers in enumerate(sent))
    frames = [frame for start in range(0, len(raw), step) for frame in server.feed(raw[start : start + step])]
    assert frames == [Frame(spdy.SYN_STREAM, 2 * number + 1, True, headers) for number, headers in enumerate(sent)]


def test_data_pings_and_resets_arrive_as_they_were_sent() -> None:
    raw = Framer.data(3, b"x" * 100_000) + Framer.data(3, fin=True) + Framer.ping(5) + Framer.rst_stream(3, spdy.CANCEL) + Framer.goaway(3)
    data, end, ping, reset, goaway = Framer().feed(raw)
    assert (data.type, data.stream, data.fin, len(data.data)) == (0, 3, False, 100_000)
    assert (end.fin, end.data) == (True, b"")
    assert (ping.type, ping.code) == (spdy.PING, 5)
    assert (reset.stream, reset.code) == (3, spdy.CANCEL)
    assert goaway.type == spdy.GOAWAY


def test_frames_that_nobody_asked_for_are_passed_over() -> None:
    settings = struct.pack("!HHII", 0x8003, spdy.SETTINGS, 4, 0)
    update = struct.pack("!HHIII", 0x8003, spdy.WINDOW_UPDATE, 8, 1, 4096)
    assert [frame.type for frame in Framer().feed(settings + update + Framer.ping(1))] == [spdy.SETTINGS, spdy.WINDOW_UPDATE, spdy.PING]


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("!HHI", 0x8002, spdy.PING, 4) + bytes(4),
        struct.pack("!HHI", 0x8003, spdy.PING, 2) + bytes(2),
        struct.pack("!HHI", 0x8003, spdy.SYN_STREAM, 14) + bytes(14),
    ],
    ids=["other version", "short", "corrupt headers"],
)
def test_what_is_no_spdy_is_refused(raw: bytes) -> None:
    with pytest.raises(SpdyError):
        list(Framer().feed(raw))


def test_headers_that_stand_for_much_more_are_refused() -> None:
    packed = Framer().syn_stream(1, {"name": "x" * 10_000_000})
    with pytest.raises(SpdyError, match="headers too long"):
        list(Framer().feed(packed))
