"""An answer as it arrives: its headers, its time, its size and its warnings."""

import time
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest

from writer_cli.errors import BadAnswerError, RequestTimeoutError, SDKError
from writer_cli.http.reply import LARGEST_ANSWER, NOT_UTF8, Reply, bounded_body, replayed
from writer_cli.http.timed_stream import TimedStream
from writer_cli.recording import Question, Recording

LONG_AGO = -1000.0
"""A moment on the clock before this machine was started."""


def reply(*chunks: bytes, head: httpx.Response | None = None, **options: Any) -> Reply:
    """Return an answer with this head and these pieces of its body."""

    def pieces() -> Generator[httpx.Response | bytes]:
        first = httpx.Response(200) if head is None else head
        first.request = httpx.Request("POST", "https://a.example")
        yield first
        yield from chunks

    options = {"began": time.monotonic(), "timeout": 30} | options
    return Reply(pieces(), lambda text: text.replace("key", "[redacted]"), **options)


def test_headers_are_read_by_their_names_in_lower_case() -> None:
    """A name may come twice, and a value may have bytes that are not UTF-8."""
    headers = [(b"Content-Type", b"a"), (b"X-\xe9", "é".encode()), (b"content-type", b"\xff")]
    answer = reply(b"x", head=httpx.Response(201, headers=headers))
    assert answer.headers == {"content-type": ["a", "\ufffd"], "x-é": ["é"]}
    assert (answer.status_code, answer.content_type) == (201, "a, \ufffd")
    assert (answer.attempts, answer.recorded_at) == (1, None)
    assert 0 <= time.monotonic() - answer.started < 30
    assert answer.raw_response.status_code == 201


def test_a_late_answer_is_kept_if_it_is_complete() -> None:
    """After the timeout the last piece may still come, and no other."""
    late: dict[str, Any] = {"began": LONG_AGO, "timeout": 2.0}
    assert reply(b"x", **late).read().text == "x"
    with pytest.raises(RequestTimeoutError) as caught:
        reply(b"x", b"y", **late).read()
    assert (caught.value.message, caught.value.retryable) == (
        "no complete answer within 2 s",
        False,
    )
    assert reply(b"x", b"y").read().text == "xy"


def test_each_piece_of_an_answer_starts_the_timeout_again() -> None:
    """The timeout of the connection starts with the reading, and again with each piece."""

    class Noting(TimedStream):
        restarts = 0

        def restart(self) -> None:
            self.restarts += 1
            super().restart()

    connection = Noting(None)
    head = httpx.Response(200, extensions={"network_stream": connection})
    seen = []

    def pieces() -> Generator[httpx.Response | bytes]:
        yield head
        for piece in (b"x", b"y"):
            seen.append(connection.restarts)
            yield piece
        seen.append(connection.restarts)

    Reply(pieces(), str, began=time.monotonic(), timeout=30).read()
    assert seen == [1, 2, 3]


def test_each_warning_is_given_once() -> None:
    """Bytes that are not UTF-8 are replaced with one warning; nobody needs to listen."""
    warnings: list[str] = []
    answer = reply(b"\xff", on_warning=warnings.append)
    assert answer.read().text == "\ufffd"
    answer.warn_not_utf8()
    answer.warn("w")
    assert warnings == [NOT_UTF8, "w"]
    assert NOT_UTF8 == "the answer has bytes that are not UTF-8; each is replaced by \ufffd"
    assert reply(b"\xef\xbb\xbf\xff").read().text == "\ufffd"


def test_only_the_text_of_an_error_is_searched_for_the_key() -> None:
    """The text of a completion is kept as it is; an error may repeat the key."""
    assert reply(b"key").read().text == "key"
    assert reply(b"key", head=httpx.Response(500)).read().text == "[redacted]"


def test_each_piece_is_told_as_it_is_read() -> None:
    """`on_chunk` gets the bytes that make a recording."""
    told: list[bytes] = []
    answer = reply(b"x", b"y")
    answer.on_chunk = told.append
    assert answer.read().text == "xy"
    assert told == [b"x", b"y"]


def test_the_raw_response_has_the_complete_body() -> None:
    """Its headers no longer say that the body is compressed or in chunks."""
    head = httpx.Response(200, headers={"Transfer-Encoding": "chunked", "X": "y"})
    head.headers["Content-Encoding"] = "gzip"
    raw = reply(b"{}", head=head).read().raw_response()
    assert (raw.status_code, raw.json(), raw.headers["X"]) == (200, {}, "y")
    assert "Content-Encoding" not in raw.headers
    assert "Transfer-Encoding" not in raw.headers


def test_an_answer_may_be_as_large_as_the_limit() -> None:
    """32 MiB are read, and a byte more is a bad answer."""

    class Large(httpx.SyncByteStream):
        def __init__(self, extra: int) -> None:
            self._extra = extra

        def __iter__(self) -> Iterator[bytes]:
            piece = bytes(2**20)
            for _ in range(32):
                yield piece
            yield bytes(self._extra)

    def size(extra: int) -> int:
        return sum(map(len, bounded_body(httpx.Response(200, stream=Large(extra)))))

    assert size(0) == LARGEST_ANSWER == 32 * 2**20
    with pytest.raises(BadAnswerError, match=r"^the answer is larger than 32 MiB$"):
        size(1)


@pytest.mark.parametrize(
    ("status", "headers", "message", "hint"),
    [
        (
            302,
            {"Location": "https://b/?key"},
            (
                "HTTP 302: the API redirects to https://b/?[redacted]; redirects are not followed, "
                "because the key would be sent there"
            ),
            "if that is the right URL, set it with --base-url",
        ),
        (
            302,
            {},
            "the answer is neither a success nor an error: HTTP 302 Found: the [redacted]",
            BadAnswerError.hint,
        ),
        (
            199,
            {"Location": "b"},
            "the answer is neither a success nor an error: HTTP 199: the [redacted]",
            BadAnswerError.hint,
        ),
    ],
)
def test_an_answer_that_is_no_success_and_no_error(
    status: int, headers: dict[str, str], message: str, hint: str | None
) -> None:
    """A redirect is named, and any other status is a bad answer; neither shows the key."""
    with pytest.raises(BadAnswerError) as caught:
        reply(b"the key", head=httpx.Response(status, headers=headers)).raise_unless_successful()
    found = caught.value
    assert found.message.startswith(message)
    assert found.hint == hint


def test_a_recorded_answer_is_one_of_an_earlier_request() -> None:
    """No attempt was made, nothing can be late, and its address leads nowhere."""
    question = Question("studio", "m", None, {})
    answer = replayed(
        Recording(
            question=question,
            recorded_at="2026-11-25T18:00:00Z",
            action_id="a-1",
            body={"n": 1},
        )
    )
    assert (answer.attempts, answer.recorded_at) == (0, "2026-11-25T18:00:00Z")
    request = answer.raw_response.request
    assert (request.method, str(request.url)) == ("POST", "https://recorded.invalid")
    whole = answer.read()
    assert (whole.status_code, whole.json_object(), whole.action_id) == (200, {"n": 1}, "a-1")
    assert (whole.attempts, whole.recorded_at) == (0, "2026-11-25T18:00:00Z")


def test_an_error_has_what_its_answer_says() -> None:
    """Status, type, id and wait are those of the answer; `x-should-retry` decides about retries."""
    headers = {
        "Content-Type": "text/plain",
        "Action-Id": "the key",
        "Retry-After": "7",
        "x-should-retry": "true",
    }
    with pytest.raises(SDKError) as caught:
        reply(b"key", head=httpx.Response(404, headers=headers)).raise_unless_successful()
    error = caught.value
    assert (error.status_code, error.content_type, error.body) == (404, "text/plain", "[redacted]")
    assert (error.action_id, error.retry_after, error.retryable) == ("the [redacted]", 7.0, True)
    assert error.raw_response is not None
    assert error.raw_response.text == "key"
    with pytest.raises(SDKError) as caught:
        reply(head=httpx.Response(404)).raise_unless_successful()
    assert (caught.value.action_id, caught.value.retryable) == (None, False)
