"""An answer whose head has arrived, and whose body may still be arriving."""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

import httpx

from writer_cli.errors import BadAnswerError, RequestTimeoutError, status_message
from writer_cli.http import retry, timed_stream
from writer_cli.http.answer import Answer
from writer_cli.http.error_answers import error_from_answer
from writer_cli.redaction import redact

if TYPE_CHECKING:
    from writer_cli.recording import Recording

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer at most, uncompressed. A million tokens are about 4 MB.

Reading and printing a text can take fifteen times as much memory.
"""

NOT_UTF8 = "the answer has bytes that are not UTF-8; each is replaced by \ufffd"


class Reply:
    """An answer whose body may still be arriving.

    Args:
        pieces: Yields the head of the response, then chunks of its body.
        redacted: Removes the key from a text.
        began: When the request was sent, by `time.monotonic()`.
        timeout: Seconds from `began` within which `read` must reach the end of the body.
        on_warning: Called once for each kind of thing that cannot be read.
    """

    def __init__(
        self,
        pieces: Generator[httpx.Response | bytes],
        redacted: Callable[[str], str],
        *,
        began: float,
        timeout: float,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._pieces = pieces
        self._began = began
        self._timeout = timeout
        self.redacted = redacted
        self._on_warning = on_warning
        self._warned: set[str] = set()
        head = next(pieces)
        assert isinstance(head, httpx.Response)  # noqa: S101 - the first piece is the head
        self._response = head
        self.status_code = head.status_code
        self.headers: dict[str, list[str]] = {}
        for name, value in head.headers.raw:
            self.headers.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("utf-8", "replace")
            )
        self.content_type = ", ".join(self.headers.get("content-type", ()))
        self.attempts = 1
        self.started = time.monotonic()
        self.recorded_at: str | None = None
        """When the answer was recorded, where it comes from a recording."""
        self.on_chunk: Callable[[bytes], object] | None = None
        """Called with each piece of the body as it is read."""

    @property
    def raw_response(self) -> httpx.Response:
        """The HTTP library's response object; read its body with `read` or `chunks`."""
        return self._response

    def close(self) -> None:
        """Close the connection; the rest of the body is lost."""
        self._pieces.close()

    def restart_timeout(self) -> None:
        """Start the timeout again, for the next part of the answer."""
        timed_stream.restart(self._response)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        for chunk in self._pieces:
            assert isinstance(chunk, bytes)  # noqa: S101 - the other pieces are the body
            if self.on_chunk is not None:
                self.on_chunk(chunk)
            yield chunk

    def read(self) -> Answer:
        """Read the complete body. Raises `RequestTimeoutError` if that takes too long."""
        try:
            body = b"".join(self._timely_chunks())
        finally:
            self.close()
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = body.decode("utf-8-sig", "replace")
            self.warn_not_utf8()
        return Answer(
            status_code=self.status_code,
            content_type=self.content_type,
            headers=self.headers,
            text=self.redacted(text) if self._response.is_error else text,
            redacted=self.redacted,
            attempts=self.attempts,
            recorded_at=self.recorded_at,
            warn=self.warn,
            raw_response=partial(_unencoded, self._response, body),
        )

    def warn(self, text: str) -> None:
        """Report something that cannot be read, once for each answer."""
        if text not in self._warned and self._on_warning is not None:
            self._warned.add(text)
            self._on_warning(text)

    def warn_not_utf8(self) -> None:
        """Report that bytes were replaced."""
        self.warn(NOT_UTF8)

    def _timely_chunks(self) -> Iterator[bytes]:
        """Yield the body, and stop at the timeout even if the server sends a byte now and then."""
        is_late = False
        self.restart_timeout()
        for chunk in self.chunks():
            if is_late:  # and the previous chunk was not the last one
                late = RequestTimeoutError(f"no complete answer within {self._timeout:g} s")
                late.retryable = False
                raise late
            yield chunk
            is_late = time.monotonic() - self._began > self._timeout
            self.restart_timeout()

    def raise_unless_successful(self) -> None:
        """Raise an error unless the status is 200 to 299."""
        if self._response.is_success:
            return
        answer = self.read()
        location = self._response.headers.get("Location")
        if self._response.is_redirect and location is not None:
            raise BadAnswerError(
                f"HTTP {self.status_code}: the API redirects to {self.redacted(location)}; "
                "redirects are not followed, because the key would be sent there",
                hint="if that is the right URL, set it with --base-url",
            )
        if not self._response.is_error:
            status = status_message(self.status_code, self.redacted(answer.text))
            raise BadAnswerError(f"the answer is neither a success nor an error: {status}")
        error = error_from_answer(
            self.status_code,
            self.content_type,
            answer.text,
            action_id=None if answer.action_id is None else self.redacted(answer.action_id),
            retry_after=retry.retry_after(self._response.headers),
            raw_response=answer.raw_response(),
        )
        advice = retry.should_retry(self._response.headers)
        if advice is not None:
            error.retryable = advice
        raise error


def replayed(recording: "Recording") -> Reply:
    """Return the answer that was recorded, as if a server had sent it; no attempt was made."""

    def pieces() -> Generator[httpx.Response | bytes]:
        request = httpx.Request("POST", "https://recorded.invalid")
        yield httpx.Response(200, headers=recording.headers, request=request)
        yield from recording.chunks()

    redacted = partial(redact, key=None)
    reply = Reply(pieces(), redacted, began=time.monotonic(), timeout=math.inf)
    reply.attempts, reply.recorded_at = 0, recording.recorded_at
    return reply


def bounded_body(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body as it arrives. Raises `BadAnswerError` if it is larger than any answer."""
    encoding = response.headers.get("Content-Encoding", "")
    if "," in encoding:
        # A kilobyte that is compressed twice can unpack to a gigabyte before its size is checked.
        raise BadAnswerError("the answer is compressed more than once")
    chunks = response.iter_bytes() if encoding else cast("Iterable[bytes]", response.stream)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise BadAnswerError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB")
        yield chunk


def _unencoded(response: httpx.Response, body: bytes) -> httpx.Response:
    """Return the response with its complete body, so that `.text` and `.json()` work."""
    headers = response.headers.copy()
    for name in ("Content-Encoding", "Transfer-Encoding"):
        headers.pop(name, None)
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions=response.extensions,
    )
