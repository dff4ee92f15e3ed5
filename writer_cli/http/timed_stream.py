"""A limit on the time of a whole head, or of a whole event, whatever number of reads it takes.

The HTTP library bounds each read. A server that sends a byte now and then, or an endless row of
`103 Early Hints`, would hold a caller for ever.
"""

import time
from typing import Any

import httpx

PIECE = 64 * 1024
"""Bytes of a request that are sent between two looks at the clock."""


class TimedBackend:
    """Opens connections that are `TimedStream`s."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *arguments: Any, **named: Any) -> "TimedStream":
        """Connect to a host, as the HTTP library asks for it."""
        return TimedStream(self._backend.connect_tcp(*arguments, **named))


class TimedStream:
    """A connection with one time limit for everything between two calls of `restart`.

    The limit starts with the first byte of a request, too. Its length is the timeout that the
    HTTP library passes with that request.

    `has_read_nothing` says whether nothing has been read since the last request.

    Raises `httpx.ReadTimeout` when the time is over.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._timeout = 0.0
        self._ends = 0.0
        self.has_read_nothing = False

    def restart(self) -> None:
        """Allow the whole timeout again, from now."""
        self._ends = time.monotonic() + self._timeout

    def write(self, buffer: bytes, timeout: float) -> None:
        """Send bytes of a request."""
        if not self.has_read_nothing:
            self.has_read_nothing = True
            self._timeout = timeout
            self.restart()
        for start in range(0, len(buffer), PIECE):
            self._stream.write(buffer[start : start + PIECE], self._left())

    def read(self, max_bytes: int, timeout: float) -> bytes:  # noqa: ARG002 - of this read alone
        """Receive bytes of an answer."""
        self.has_read_nothing = False
        data: bytes = self._stream.read(max_bytes, self._left())
        return data

    def start_tls(self, *arguments: Any, **named: Any) -> "TimedStream":
        """Go on with TLS on this connection."""
        return TimedStream(self._stream.start_tls(*arguments, **named))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout("the time is over")
        return left


def came_unasked(response: httpx.Response) -> bool:
    """Whether the head of an answer was there before its request was sent.

    Then it followed an earlier answer on the same connection, and belongs to no request: each
    later answer would be given to the wrong one.
    """
    stream = response.extensions.get("network_stream")
    return isinstance(stream, TimedStream) and stream.has_read_nothing


def restart(response: httpx.Response) -> None:
    """Allow the whole timeout again for what comes next of an answer. The sandbox has no limit."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, TimedStream):
        stream.restart()
