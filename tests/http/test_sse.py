import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writer_cli.http.sse import (
    IncompleteEventError,
    OversizedEventError,
    ServerSentEvent,
    events,
)

BOM = b"\xef\xbb\xbf"


def messages(*data: str) -> list[ServerSentEvent]:
    """Return events without a name that have these data."""
    return [ServerSentEvent(text) for text in data]


def decode(chunks: Iterable[bytes]) -> tuple[list[ServerSentEvent], str | None]:
    """Return the events and, if the stream ended within one, the data of that event so far."""
    received: list[ServerSentEvent] = []
    try:
        received.extend(events(chunks))
    except IncompleteEventError as error:
        return received, error.data
    return received, None


@dataclass(frozen=True)
class Case:
    """A stream, its events, and how it ends."""

    claim: str
    stream: bytes
    events: list[ServerSentEvent]
    pending: str | None = None  # the data of the incomplete last event; None after a clean end


CASES = [
    # Line ends.
    Case("lf ends a line", b"data: a\n\ndata: b\n\n", messages("a", "b")),
    Case("cr ends a line", b"data: a\r\rdata: b\r\r", messages("a", "b")),
    Case("crlf ends one line", b"data: a\r\n\r\ndata: b\r\n\r\n", messages("a", "b")),
    Case("lf then cr are two ends", b"data: a\n\rdata: b\n\r", messages("a", "b")),
    Case("cr then crlf are two ends", b"data: a\r\r\ndata: b\r\r\n", messages("a", "b")),
    Case("crlf then lf are two ends", b"data: a\r\n\ndata: b\r\n\n", messages("a", "b")),
    Case("ends mix in one event", b"data: a\rdata: b\ndata: c\r\n\n", messages("a\nb\nc")),
    Case("crlf joins lines by one lf", b"data: a\r\ndata: b\r\n\r\n", messages("a\nb")),
    Case("blank lines dispatch nothing", b"\n\r\r\n\ndata: a\n\n\n\r\n\r", messages("a")),
    Case("no bytes are no events", b"", []),
    Case(
        "what is no line end stays in the value",
        "data: a\u2028b\u2029c\u0085d\ve\ff\x1cg\x1dh\x1ei\n\n".encode(),
        messages("a\u2028b\u2029c\u0085d\ve\ff\x1cg\x1dh\x1ei"),
    ),
    # The byte order mark.
    Case("a bom at the start is dropped", BOM + b"data: a\n\n", messages("a")),
    Case("a bom before a comment is dropped", BOM + b": c\ndata: a\n\n", messages("a")),
    Case("a bom before a blank line is dropped", BOM + b"\r\ndata: a\n\n", messages("a")),
    Case("a second bom is part of a name", BOM + BOM + b"data: a\ndata: b\n\n", messages("b")),
    Case("a later bom is part of a name", b"\n" + BOM + b"data: a\ndata: b\n\n", messages("b")),
    Case("a bom in a value stays", b"data: " + BOM + b"a\n\n", messages("\ufeffa")),
    Case("a bom alone is a clean end", BOM, []),
    Case("half a bom is a cut line", BOM[:2], [], pending=""),
    # Fields.
    Case("a comment is ignored", b": hello\n\n:\n\n:data: x\n\ndata: a\n\n", messages("a")),
    Case("a comment does not end an event", b"data: a\n: c\n:\ndata: b\n\n", messages("a\nb")),
    Case("one space is removed", b"data:  a \n\n", messages(" a ")),
    Case("no space is needed", b"data:a\n\n", messages("a")),
    Case("a tab is not removed", b"data:\ta\n\n", messages("\ta")),
    Case("a value may have colons", b"data: a: b:c\n\ndata::\n\n", messages("a: b:c", ":")),
    Case("data lines are joined", b"data: a\ndata:\ndata: b\n\n", messages("a\n\nb")),
    Case("data without a colon is an empty line", b"data\n\n", messages("")),
    Case("data without a value is an empty line", b"data:\n\ndata: \n\n", messages("", "")),
    Case("two empty lines are one line feed", b"data\ndata\n\n", messages("\n")),
    Case("a name has its case", b"Data: a\nDATA: b\ndata: c\n\n", messages("c")),
    Case("a name has its spaces", b" data: a\ndata : b\ndata: c\n\n", messages("c")),
    Case("an unknown field is ignored", b"value: a\nb\ndata: c\ndat: d\n\n", messages("c")),
    Case("id and retry are parsed over", b"id: 1\nid: \0\nretry: x\ndata: a\n\n", messages("a")),
    Case("an event has its name", b"event: error\ndata: a\n\n", [ServerSentEvent("a", "error")]),
    Case("a name may follow the data", b"data: a\nevent:e\n\n", [ServerSentEvent("a", "e")]),
    Case("the last name counts", b"event: d\nevent: e\ndata: a\n\n", [ServerSentEvent("a", "e")]),
    Case("an empty name is message", b"event: e\nevent\ndata: a\n\n", messages("a")),
    Case("a name without data is dropped", b"event: e\n\ndata: a\n\n", messages("a")),
    Case(
        "a name holds for one event",
        b"event: e\ndata: a\n\ndata: b\n\n",
        [ServerSentEvent("a", "e"), ServerSentEvent("b")],
    ),
    # Characters.
    Case("text is utf-8", "data: é€😀\n\n".encode(), messages("é€😀")),
    Case("a bad byte is replaced", b"data: a\xffb\xc0\x80\n\n", messages("a\ufffdb\ufffd\ufffd")),
    Case("a cut character keeps the line end", b"data: \xe2\x82\r\n\r\n", messages("\ufffd")),
    Case("nul is a character", b"data: a\0b\n\n", messages("a\0b")),
    # The standard's own examples.
    Case(
        "an event of three lines", b"data: YHOO\ndata: +2\ndata: 10\n\n", messages("YHOO\n+2\n10")
    ),
    Case(
        "four blocks, of which the last is incomplete",
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        messages("first event", "second event"),
        pending=" third event",
    ),
    Case("empty data", b"data\n\ndata\ndata\n\ndata:", messages("", "\n"), pending=""),
    # The end.
    Case("data without a line end is incomplete", b"data: a", [], pending="a"),
    Case("data without a blank line is incomplete", b"data: a\n\ndata: b\n", messages("a"), "b"),
    Case("a cr is no blank line", b"data: a\r", [], pending="a"),
    Case("a crlf is no blank line", b"data: a\r\n", [], pending="a"),
    Case("pending lines are joined", b"data: a\r\ndata: [DONE]", [], pending="a\n[DONE]"),
    Case("a last word is told apart", b"data: a\n\ndata: [DONE]\n", messages("a"), "[DONE]"),
    Case("a comment does not complete", b"data: a\n: c", [], pending="a"),
    Case("a field cut in its name is incomplete", b"data: a\n\nda", messages("a"), pending=""),
    Case("a character cut by the end is incomplete", b"data: \xe2\x82", [], pending="\ufffd"),
    Case("a name that waits for its data is incomplete", b"event: error\n", [], pending=""),
    Case("a cut id is incomplete", b"data: a\n\nid: 1", messages("a"), pending=""),
    Case("an id alone is a clean end", b"data: a\n\nid: 1\n", messages("a")),
    Case("a comment is a clean end", b"data: a\n\n: bye\n", messages("a")),
    Case("a cut comment is a clean end", b"data: a\n\n: by", messages("a")),
    Case("a cut comment after a bom is a clean end", BOM + b": by", []),
]


def whole(stream: bytes) -> Iterator[list[bytes]]:
    """Yield the stream as one chunk."""
    yield [stream]


def byte_by_byte(stream: bytes) -> Iterator[list[bytes]]:
    """Yield the stream as chunks of one byte."""
    yield [stream[i : i + 1] for i in range(len(stream))]


def in_two(stream: bytes) -> Iterator[list[bytes]]:
    """Yield the stream as two chunks, for every place of the cut; a chunk may be empty."""
    for i in range(len(stream) + 1):
        yield [stream[:i], stream[i:]]


@pytest.mark.parametrize("cut", [whole, byte_by_byte, in_two])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_a_stream_means_the_same_however_it_is_cut(
    case: Case, cut: Callable[[bytes], Iterator[list[bytes]]]
) -> None:
    """The events depend on the bytes of the stream, not on how chunks divide them."""
    for chunks in cut(case.stream):
        assert decode(chunks) == (case.events, case.pending)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"data: a\n\n", b"data: b\n\n"),
        (b"data: a\r\r", b"data: b\r\r"),
        (b"data: a\r\n\r\n", b"data: b\r\n\r\n"),
        (b"data: a\r\n\r", b"\ndata: b\r\n\r"),
        (b"data: a\r\r", b"\ndata: b\r\r"),
        (b"data: a\n\r", b"\ndata: b\n\r"),
    ],
)
def test_an_event_does_not_wait_for_the_next_chunk(first: bytes, second: bytes) -> None:
    """An event is returned at its blank line, even if that may be half of a CRLF."""
    asked_for = []

    def chunks() -> Iterator[bytes]:
        for chunk in (first, second, b"\n"):
            asked_for.append(chunk)
            yield chunk

    stream = events(chunks())
    assert next(stream) == ServerSentEvent("a")
    assert asked_for == [first]
    assert next(stream) == ServerSentEvent("b")
    assert asked_for == [first, second]
    assert list(stream) == []


def test_events_of_one_chunk_come_before_the_next_chunk() -> None:
    """All events of a chunk are returned before the next chunk is read."""

    def chunks() -> Iterator[bytes]:
        yield b"data: a\n\ndata: b\n\ndata: c\n\ndata: "
        pytest.fail("another chunk was asked for")

    assert list(itertools.islice(events(chunks()), 3)) == messages("a", "b", "c")


def test_a_broken_connection_passes_through() -> None:
    """An exception of the source is raised and not taken for the end of the stream."""

    def chunks() -> Iterator[bytes]:
        yield b"data: a\n\ndata: b"
        raise ConnectionResetError

    stream = events(chunks())
    assert next(stream) == ServerSentEvent("a")
    with pytest.raises(ConnectionResetError):
        next(stream)


def test_an_incomplete_event_is_an_error_that_keeps_the_text_to_itself() -> None:
    """The data is in an attribute and not in the message, which may be logged."""
    with pytest.raises(IncompleteEventError, match=r"^the stream ended inside an event$") as caught:
        list(events([b"data: secret\n"]))
    assert caught.value.data == "secret"


@pytest.mark.parametrize(
    "stream",
    [
        b"data:1234\n\n",
        b"data:12\r\n:c\r\n\r\n",
        b":2345678\n\n",
        b"123456789",
        b"data\rdata\r:\r",
        b":23456789\ndata",
    ],
)
def test_an_event_may_be_as_large_as_the_limit(stream: bytes) -> None:
    """The limit counts the bytes of an event's lines without their line ends."""
    size = len(stream.replace(b"\r", b"").replace(b"\n", b""))
    for chunks in itertools.chain(whole(stream), byte_by_byte(stream), in_two(stream)):
        received = events([b"data\n\n", *chunks, b"\n\n"], max_event_bytes=size)
        assert next(received) == ServerSentEvent("")
        list(received)

        received = events([b"data\n\n", *chunks, b"\n\n"], max_event_bytes=size - 1)
        assert next(received) == ServerSentEvent("")
        with pytest.raises(OversizedEventError, match=rf"^an event has more than {size - 1} bytes"):
            next(received)


def test_the_limit_is_for_each_event() -> None:
    """The limit is for each event or comment, and not for the whole stream."""
    stream = [b"data: a\n\n", b": ping\n\n", b"event: e\n\n"] * 100
    assert list(events(stream, max_event_bytes=8)) == messages("a") * 100


@pytest.mark.parametrize("chunk", [b"x", b"data\n", b": c\r", b"x" * 9 + b"\n"])
def test_an_endless_event_is_refused_while_it_arrives(chunk: bytes) -> None:
    """An event above the limit is refused, and nothing more is read."""
    asked_for = iter(range(2000))
    with pytest.raises(OversizedEventError):
        list(events((chunk for _ in asked_for), max_event_bytes=1000))
    assert next(asked_for) == 1000 // len(chunk.strip()) + 1


def test_the_default_limit_of_an_event() -> None:
    """The default limit of an event is 8 MiB."""
    half = b"x" * (4 * 1024 * 1024)
    assert list(events([b":", half[1:], half, b"\n\n", half, half, b"\n\n"])) == []
    with pytest.raises(OversizedEventError):
        list(events([half, half, b"x"]))


def test_a_long_line_in_chunks_of_one_byte_is_read() -> None:
    """A long line is read, even if every byte is a chunk."""
    text = "x" * 100_000
    stream = (bytes([byte]) for byte in f"data: {text}\n\n".encode())
    assert list(events(stream)) == messages(text)


# Characters that a parser of lines, fields or UTF-8 could misread.
CHARACTERS = "a: \t\0\v\f\x1c\u0085é\u2028\u2029\ufeff\ufffd😀"
EVENTS = st.lists(
    st.builds(
        ServerSentEvent,
        data=st.text(CHARACTERS + "\n"),
        event=st.just("message") | st.text(CHARACTERS, min_size=1),
    ),
    max_size=5,
)
LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[ServerSentEvent], list[bytes]]:
    """Draw events, and chunks of bytes that encode them in a way that the standard allows."""
    expected = draw(EVENTS)
    text = draw(st.sampled_from(["", "\ufeff"]))
    for event in expected:
        fields = [("data", line) for line in event.data.split("\n")]
        if event.event != "message" or draw(st.booleans()):
            fields.insert(draw(st.integers(0, len(fields))), ("event", event.event))
        fields.insert(draw(st.integers(0, len(fields))), ("", draw(st.sampled_from("a "))))
        for name, value in fields:
            space = " " if value.startswith(" ") or draw(st.booleans()) else ""
            text += f"{name}:{space}{value}" + draw(LINE_ENDS)
        # A LF after the CR would make one line end of both, and no blank line.
        text += draw(st.sampled_from(["\r", "\r\n"]) if text.endswith("\r") else LINE_ENDS)
    stream = text.encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    return expected, [stream[start:end] for start, end in itertools.pairwise(edges)]


@given(streams())
def test_encoded_events_are_decoded_unchanged(
    case: tuple[list[ServerSentEvent], list[bytes]],
) -> None:
    """Any events, with any line ends and in any chunks, are decoded unchanged."""
    expected, chunks = case
    assert decode(chunks) == (expected, None)


@given(st.lists(st.binary() | st.text("data:event \r\n").map(str.encode)))
def test_any_bytes_mean_the_same_however_they_are_cut(chunks: list[bytes]) -> None:
    """Any bytes give the same result in any chunks, and no unexpected exception."""
    assert decode(chunks) == decode([b"".join(chunks)])
