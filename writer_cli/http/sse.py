"""A parser of server-sent events, without I/O.

The source is the WHATWG HTML standard, section "server-sent events", "parsing an event stream".
The standard lets a browser discard an incomplete event at the end of the stream, and does not limit
the size of an event. Here both are errors: a completion that lost its end must not look complete,
and a server must not fill the memory.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# The text between line ends, or one byte of a line end. Not `splitlines`, which makes a list of the
# whole chunk: a few compressed kilobytes can unpack to a chunk of millions of lines.
_TOKEN = re.compile(rb"[^\r\n]+|[\r\n]")


class IncompleteEventError(ValueError):
    """The stream ended inside an event.

    Attributes:
        data: The data of that event so far, its lines joined by line feeds. It includes the part
            of a line that was cut; it is empty if no data had arrived.
    """

    def __init__(self, data: str) -> None:
        super().__init__("the stream ended inside an event")
        self.data = data


class OversizedEventError(ValueError):
    """An event is longer than the caller allows."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. The fields `id` and `retry` are left out: nothing here reconnects."""

    data: str
    event: str = "message"


def events(
    chunks: Iterable[bytes],
    *,
    max_event_bytes: int = 8 * 1024 * 1024,
    on_bad_bytes: Callable[[], None] = lambda: None,
) -> Iterator[ServerSentEvent]:
    """Yield each event as soon as the blank line that ends it has arrived.

    Bytes that are not UTF-8 become U+FFFD. As the standard says, an event without a `data` field
    is dropped, and only LF, CR or CRLF end a line.

    Args:
        chunks: The body in chunks of any size. Exceptions of the iterable are not caught.
        max_event_bytes: The largest size of an event, 0 or more: the bytes of all lines between
            two blank lines, with comments, without line ends.
        on_bad_bytes: Called for each line that is not UTF-8.

    Raises:
        IncompleteEventError: The body ended in the middle of a line that is not a comment, or
            after a `data` or `event` field without a blank line.
        OversizedEventError: An event exceeds `max_event_bytes`; the rest of it is not read.

    Source: the WHATWG HTML standard, "server-sent events", "parsing an event stream".
    """
    event, data, is_cut = "", list[str](), False
    for line in _lines(chunks, max_event_bytes, on_bad_bytes):
        if line == "\n":
            if data:
                yield ServerSentEvent("\n".join(data), event or "message")
            event, data = "", []
            continue
        name, _, value = line.removesuffix("\n").partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif name == "event":
            event = value.removeprefix(" ")
        # A line without a name is a comment, or the empty end of the stream.
        is_cut = name != "" and not line.endswith("\n")
    if event or data or is_cut:
        raise IncompleteEventError("\n".join(data))


def _lines(
    chunks: Iterable[bytes], max_event_bytes: int, on_bad_bytes: Callable[[], None]
) -> Iterator[str]:
    r"""Yield each line, its end as "\n", when its end arrives; at last what has no end, or ""."""
    line, size, after_cr = bytearray(), 0, False
    encoding = "utf-8-sig"  # a byte order mark is one at the very start only

    def decoded() -> str:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            on_bad_bytes()
            return line.decode(encoding, "replace")

    for chunk in chunks:
        for match in _TOKEN.finditer(chunk):
            token = match[0]
            if token not in (b"\r", b"\n"):
                size += len(token)
                if size > max_event_bytes:
                    raise OversizedEventError(f"an event has more than {max_event_bytes} bytes")
                line += token
            # CR ends a line at once, for the next byte may be long in coming; if it is a LF, it is
            # the second half of the same line end.
            elif not (after_cr and token == b"\n"):
                # Decoded by the line: a chunk may cut a character in two, a line end cannot.
                text = decoded()
                encoding = "utf-8"
                line.clear()
                size = size if text else 0
                yield text + "\n"
            after_cr = token == b"\r"
    yield decoded()
