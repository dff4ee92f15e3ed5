"""Bytes to server-sent events, without I/O.

The source is the WHATWG HTML standard, section "server-sent events", "parsing an event stream".
It lets a browser discard an event that the end of the stream cut short, and sets no bound on an
event's size. A completion that lost its end must not look whole, and a server must not fill the
memory, so here both are errors.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What lies between line ends, or one byte of a line end. Not `splitlines`, which makes a list of
# a whole chunk: a few compressed kilobytes can be a chunk of millions of lines.
_TOKEN = re.compile(rb"[^\r\n]+|[\r\n]")


class IncompleteEventError(ValueError):
    """The stream ended inside an event.

    Attributes:
        data: The data of that event so far, its lines joined by line feeds. A line that was cut
            counts as far as it came. Empty if no data had arrived.
    """

    def __init__(self, data: str) -> None:
        super().__init__("the stream ended inside an event")
        self.data = data


class OversizedEventError(ValueError):
    """An event is longer than the caller allows."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; `id` and `retry` serve reconnection, which a completion has no use for."""

    data: str
    event: str = "message"


def events(
    chunks: Iterable[bytes],
    *,
    max_event_bytes: int = 8 * 1024 * 1024,
) -> Iterator[ServerSentEvent]:
    """Yield each event as soon as the blank line that ends it has arrived.

    Bytes that are not UTF-8 become U+FFFD. By the standard, an event without a `data` field is
    dropped, and lines end at LF, CR or CRLF only.

    Args:
        chunks: The body, cut anywhere. What it raises passes through.
        max_event_bytes: The most bytes, 0 or more, that the lines between two blank lines may
            have together, comments included, line ends not.

    Raises:
        IncompleteEventError: The body ended in the middle of a line that is no comment, or after
            a `data` or `event` field without the blank line.
        OversizedEventError: An event exceeds `max_event_bytes`; the rest of it is not read.

    Source: the WHATWG HTML standard, "server-sent events", "parsing an event stream".
    """
    event, data, is_cut = "", list[str](), False
    for line in _lines(chunks, max_event_bytes):
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
        # Without a name the line is a comment, or the nothing after the last line end.
        is_cut = name != "" and not line.endswith("\n")
    if event or data or is_cut:
        raise IncompleteEventError("\n".join(data))


def _lines(chunks: Iterable[bytes], max_event_bytes: int) -> Iterator[str]:
    r"""Yield each line, its end as "\n", when its end arrives; at last what has no end, or ""."""
    line, size, after_cr = bytearray(), 0, False
    encoding = "utf-8-sig"  # a byte order mark is one at the very start only
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
                text = line.decode(encoding, "replace")
                encoding = "utf-8"
                line.clear()
                size = size if text else 0
                yield text + "\n"
            after_cr = token == b"\r"
    yield line.decode(encoding, "replace")
