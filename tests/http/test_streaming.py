"""Streams in the library."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream, texts
from tests.harness.servers import (
    CLOSE,
    HANG,
    RESET,
    Received,
    Script,
    Server,
    Step,
    completion,
    http,
)
from tests.http.streams import FAIL, KEY, REQUEST
from writer_cli.apis.access import ApiName
from writer_cli.http.stream import CompletionStream


def client(server: Server, **settings: Any) -> writer.Writer:
    """Return a client with a short timeout, so that a failing test ends."""
    return writer.Writer(KEY, 7, base_url=server.url, max_retries=0, timeout=30, **settings)


def received(script: Script, **settings: Any) -> list[str]:
    """Return the chunks of a streamed answer."""
    with Server(script) as server, client(server, **settings) as s:
        return [
            chunk.text for chunk in s.completions.stream(completion_request=REQUEST, model_id="m")
        ]


def failure(script: Script, **settings: Any) -> tuple[list[str], writer.WriterError]:
    """Return the chunks of a stream, and the error that ended it."""
    chunks = []
    with Server(script) as server, client(server, **settings) as s:
        with pytest.raises(writer.WriterError) as caught:  # noqa: PT012 - the chunks before the error count
            for chunk in s.completions.stream(completion_request=REQUEST, model_id="m"):
                chunks.append(chunk.text)  # noqa: PERF401 - kept if the loop ends early
        caught.value.message = caught.value.message.replace(server.host, "HOST")
    return chunks, caught.value


@pytest.mark.parametrize(
    ("api", "target", "body"),
    [
        ("enterprise", "/llm/organization/7/model/m/completions/stream", {"prompt": "p"}),
        ("studio", "/v1/completions", {"model": "m", "prompt": "p", "stream": True}),
    ],
)
def test_a_stream_is_requested_in_the_form_of_the_api(
    api: ApiName, target: str, body: dict[str, Any]
) -> None:
    """A stream is requested by its own path or by a field, with the right `Accept` header."""
    with Server(texts("x")) as server, client(server, api=api) as s:
        list(s.completions.stream(completion_request=REQUEST, model_id="m"))
    [request] = server.requests
    assert (request.method, request.target, request.json()) == ("POST", target, body)
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("field", "value"), [("n", 2), ("best_of", 2), ("logprobs", 0), ("logprobs", 3)]
)
def test_a_request_that_cannot_be_streamed_is_refused(field: str, value: int) -> None:
    """A request for several texts or log probabilities is refused and not sent."""
    request = writer.CompletionRequest.model_validate({"prompt": "p", field: value})
    with Server(texts("x")) as server, client(server) as s, pytest.raises(writer.UsageError) as e:
        s.completions.stream(completion_request=request, model_id="m")
    assert (str(e.value), e.value.field) == (
        f"{field}: a request with it cannot be streamed",
        field,
    )
    assert server.connections == 0


def test_one_of_one_can_be_streamed() -> None:
    """`n=1` and `best_of=1` are allowed, since a stream has one text."""
    request = writer.CompletionRequest(prompt="p", n=1, best_of=1)
    with Server(texts("x")) as server, client(server) as s:
        chunks = list(s.completions.stream(completion_request=request, model_id="m"))
    assert [chunk.text for chunk in chunks] == ["x"]


def test_a_customization_is_not_prepared_as_a_stream() -> None:
    """A stream of a customization is refused, since the API has no path for it."""
    with writer.Writer(KEY, 7) as s, pytest.raises(writer.UsageError) as caught:
        s.completions.prepare(
            completion_request=REQUEST, model_id="m", customization_id="c", stream=True
        )
    assert str(caught.value) == "customization_id: a request with it cannot be streamed"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (event("a") + event("b"), ["a", "b"]),
        (event({"data": {"value": "a"}}), ["a"]),
        (event({"data": None, "value": "a"}), ["a"]),
        (event({"value": "a", "errors": []}), ["a"]),
        (event("") + event("a"), ["", "a"]),
        (event("a") + b"data: [DONE]\n\n", ["a"]),
        (event("a") + b"data: [DONE]\n\n" + event("after"), ["a"]),
        (event("a") + b"data: [DONE]", ["a"]),
        (event("a") + b"data: [DONE]\n", ["a"]),
        (event("a", end="\r\n\r\n") + event("b", end="\r\r"), ["a", "b"]),
        (b"\xef\xbb\xbf: hello\n\n" + event("a"), ["a"]),
        (b'data: {"value":\ndata: "a"}\n\n', ["a"]),
        (b'event: ping\ndata: {"x":1}\n\nid: 1\nretry: 5\n' + event("a"), ["a"]),
        (b'event: message\ndata: {"value":"a"}\n\n', ["a"]),
        ('data: {"value":"a\u2028\u0085\x0b\x0cb"}\n\n'.encode(), None),
        ('data: {"value":"a\u2028\u0085b"}\n\n'.encode(), ["a\u2028\u0085b"]),
        (b'data: {"value":"a\xffb"}\n\n', ["a\ufffdb"]),
        (b"data: [DONE]\n\n", []),
    ],
)
def test_a_stream_is_read_by_the_rules(body: bytes, expected: list[str] | None) -> None:
    """Every kind of event, line end and ending is read, however the bytes are cut."""
    for size in (1, 7, len(body) or 1):
        script = stream(*(body[i : i + size] for i in range(0, len(body), size)))
        if expected is None:  # JSON admits no raw control character
            assert isinstance(failure(script)[1], writer.BadAnswerError)
        else:
            assert received(script) == expected
            assert received(script, deadline=30) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([r"a\ud83d", r"\ude00b"], ["a", "\U0001f600b"]),
        ([r"\ud83d", "x"], ["", "\ufffdx"]),
        ([r"\ude00"], ["\ufffd"]),
        ([r"x\ud83d"], ["x", "\ufffd"]),
        ([r"\ud83d", r"\ud83d", r"\ude00"], ["", "\ufffd", "\U0001f600"]),
    ],
)
def test_halves_of_a_character_are_joined(values: list[str], expected: list[str]) -> None:
    """A surrogate pair that two events share is joined; a lone half is replaced."""
    body = "".join(f'data: {{"value":"{value}"}}\n\n' for value in values)
    assert received(stream(body.encode())) == expected


def test_a_stream_may_be_ended_by_the_connection() -> None:
    """Without a length and chunked encoding, the stream ends when the connection closes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
    assert received([head, event("a"), CLOSE]) == ["a"]


@pytest.mark.parametrize("api", ["enterprise", "studio"])
def test_an_answer_without_streaming_becomes_one_chunk(api: ApiName) -> None:
    """An answer without streaming, as of a gateway, becomes a stream of one chunk."""
    assert received(completion("whole", "other"), api=api) == ["whole"]


def test_each_chunk_comes_before_the_next_is_sent() -> None:
    """Each chunk is returned at once, with and without a deadline."""
    for settings in ({}, {"deadline": 30}):
        seen = [threading.Event() for _ in range(3)]

        def script(_: Received, seen: list[threading.Event] = seen) -> Iterator[Step]:
            head, *chunks, last = texts("0", "1", "2")
            yield head
            for chunk, is_seen in zip(chunks, seen, strict=True):
                yield chunk
                assert is_seen.wait(30)
            yield last

        with Server(script) as server, client(server, **settings) as s:
            for chunk in s.completions.stream(completion_request=REQUEST, model_id="m"):
                seen[int(chunk.text)].set()
        assert all(is_seen.is_set() for is_seen in seen)


def test_a_stream_has_its_text_so_far_and_its_metadata() -> None:
    """A stream has its text so far, and the status, headers and attempts of a response."""
    head, *rest = texts("one ", "two")
    assert isinstance(head, bytes)
    head = head.replace(b"\r\n\r\n", b"\r\nAction-Id: a-1\r\n\r\n")
    with (
        Server([head, *rest]) as server,
        client(server) as s,
        s.completions.stream(completion_request=REQUEST, model_id="m") as chunks,
    ):
        assert (chunks.text, chunks.status_code, chunks.attempts) == ("", 200, 1)
        assert (chunks.content_type, chunks.action_id) == ("text/event-stream", "a-1")
        assert next(chunks).text == "one "
        assert chunks.text == "one "
        assert [chunk.text for chunk in chunks] == ["two"]
        response = chunks.response()
    assert response.completion_response is not None
    assert [choice.text for choice in response.completion_response.choices] == ["one two"]
    assert (response.action_id, response.attempts, response.status_code) == ("a-1", 1, 200)
    assert response.elapsed_s > 0
    assert response.headers["action-id"] == ["a-1"]


@pytest.mark.parametrize("settings", [{}, {"deadline": 30.0}])
@pytest.mark.parametrize("leave", ["with", "close", "unread"])
def test_leaving_a_stream_closes_its_connection(settings: dict[str, Any], leave: str) -> None:
    """Closing a stream early closes its connection at once and leaves no thread."""
    noticed = threading.Event()

    def script(_: Received) -> Iterator[Step]:
        yield from texts("x")[:-1]
        yield HANG
        raise AssertionError("a hang is the last step")

    class Noticing(Server):
        def _answer(self, connection: Any, request: Received) -> bool:
            try:
                return super()._answer(connection, request)
            finally:
                noticed.set()

    with Noticing(script) as server, client(server, **settings) as s:
        threads = set(threading.enumerate())
        chunks: CompletionStream = s.completions.stream(completion_request=REQUEST, model_id="m")
        if leave == "with":
            with chunks:
                assert next(chunks).text == "x"
        else:
            if leave == "close":
                assert next(chunks).text == "x"
            chunks.close()
        assert noticed.wait(30)
        assert list(chunks) == []
        assert not [t for t in set(threading.enumerate()) - threads if t.daemon]


def test_a_stream_that_came_whole_leaves_its_connection_to_the_next() -> None:
    """After a complete stream, with or without a deadline, the connection is used again."""
    for settings in ({}, {"deadline": 30}):
        with Server(texts("x")) as server, client(server, **settings) as s:
            for _ in range(3):
                list(s.completions.stream(completion_request=REQUEST, model_id="m"))
        assert server.connections == 1


@pytest.mark.parametrize("settings", [{}, {"deadline": 30.0}])
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (stream(event("a"), whole=False), "the answer from HOST was cut short: "),
        ([*stream(event("a"))[:-1], RESET], "the answer from HOST was cut short: "),
        (stream(event("a"), b'data: {"value":"b"}'), "the stream ended in the middle of an event"),
        (stream(event("a"), b'data: {"value":"b"}\n'), "the stream ended in the middle of an ev"),
        (stream(event("a"), b"data: {"), "the stream ended in the middle of an event"),
        (stream(event("a"), b"dat"), "the stream ended in the middle of an event"),
    ],
)
def test_a_stream_that_is_cut_is_an_error(
    script: Script, message: str, settings: dict[str, Any]
) -> None:
    """The chunks before the cut are returned, and the stream is not retried."""
    chunks, error = failure(script, **settings)
    assert chunks == ["a"]
    assert (error.kind, error.exit_code, error.retryable) == ("cut", 9, False)
    assert error.message.startswith(message)
    assert error.hint == "the answer is incomplete: try again"


@pytest.mark.parametrize(
    ("last", "kind", "status", "message"),
    [
        (event(FAIL), "rate_limit", 429, "too many"),
        (event({"data": FAIL}), "rate_limit", 429, "too many"),
        (b"event: error\n" + event(FAIL), "rate_limit", 429, "too many"),
        (event({"tpe": "fail.auth", "errors": None}), "authentication", 401, None),
        (event({"tpe": ["?"]}), "server", 500, None),
        (event({"errors": [{"description": "oh"}]}), "server", 500, "oh"),
        (
            b"event: error\ndata: internal error\n\n",
            "server",
            500,
            "HTTP 500 Internal Server Error: internal error",
        ),
        (b"event: error\ndata: [1]\n\n", "server", 500, "HTTP 500 Internal Server Error: [1]"),
        (b"event: error\n" + event("x"), "server", 500, None),
    ],
)
def test_an_error_inside_a_stream_is_an_error_of_the_api(
    last: bytes, kind: str, status: int, message: str | None
) -> None:
    """An error in a stream, as a named event or as data, is raised."""
    chunks, error = failure(stream(event("a"), last, event("never")))
    assert chunks == ["a"]
    assert isinstance(error, writer.SDKError)
    assert (error.kind, error.status_code, error.retryable) == (kind, status, False)
    assert message is None or error.message == message


@pytest.mark.parametrize(
    "data",
    [
        '{"value": 5}',
        '{"value": null}',
        '{"data": {}}',
        '{"data": "tpe"}',
        '{"text": "x"}',
        "{}",
        "[]",
        "5",
        "null",
        '"x"',
        "{'value': 1}",
        "[" * 100_000,
        "1" * 5000,
    ],
)
def test_an_event_without_a_text_is_a_bad_answer(data: str) -> None:
    """The error quotes an event that has no text."""
    chunks, error = failure(stream(event("a"), f"data: {data}\n\n".encode()))
    assert chunks == ["a"]
    assert (type(error), error.exit_code) == (writer.BadAnswerError, 9)
    assert error.message.startswith(f"the stream has an event without text: {data[:100]}")


def test_an_event_without_end_is_refused_while_it_arrives() -> None:
    """An event without an end is refused before it fills the memory."""

    def script(_: Received) -> Iterator[Step]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + event("a")
        yield b"data: "
        while True:
            yield bytes(2**20).replace(b"\0", b"x")

    chunks, error = failure(script)
    assert chunks == ["a"]
    assert error.message.startswith("the stream has an event that is too large: ")
    assert type(error) is writer.BadAnswerError


def test_a_stream_without_end_is_refused() -> None:
    """A stream of more than 32 MiB is refused."""

    def script(_: Received) -> Iterator[Step]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        while True:
            yield event("x" * 2**20)

    chunks, error = failure(script)
    assert len(chunks) == 31
    assert error.message == "the answer is larger than 32 MiB"


def test_a_stream_that_stops_is_a_timeout() -> None:
    """A stream that stops is a timeout and is not retried."""
    with Server([*texts("a")[:-1], HANG]) as server:
        s = writer.Writer(KEY, 7, base_url=server.url, timeout=0.2)
        chunks = s.completions.stream(completion_request=REQUEST, model_id="m")
        assert next(chunks).text == "a"
        with pytest.raises(
            writer.RequestTimeoutError, match=r"did not continue within 0.2 s$"
        ) as e:
            next(chunks)
        s.close()
    assert e.value.retryable is False
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            http(200, b"<h1>Welcome</h1>", "text/html"),
            "the answer is text/html, not JSON: Welcome",
        ),
        (http(200, b"{}"), "the answer has no choices"),
        (
            http(200, {"choices": [5]}),
            "the answer is JSON but does not have the expected fields",
        ),
        (http(200, b"x", None), "the answer is of unknown type, not JSON: x"),
    ],
)
def test_an_answer_that_is_neither_stream_nor_completion_is_bad(
    script: bytes, message: str
) -> None:
    """The error is the same as for a request without streaming."""
    chunks, error = failure(script)
    assert chunks == []
    assert type(error) is writer.BadAnswerError
    assert error.message.startswith(message)


def test_a_page_in_the_place_of_a_stream_hints_at_the_other_api() -> None:
    """The hint for an HTML page, as of a retired host, names `--api studio`."""
    _, error = failure(http(200, b"<h1>Moved</h1>", "Text/HTML"))
    assert str(error.hint).endswith("; a key of AI Studio needs --api studio")


@pytest.mark.parametrize("prefix", ["", "Bearer "])
@pytest.mark.parametrize(
    "last",
    [
        event({"text": KEY}),
        event({"tpe": KEY, "errors": [KEY]}),
        b"event: error\ndata: " + KEY.encode() + b"\n\n",
    ],
)
def test_a_key_that_a_stream_repeats_is_not_shown(last: bytes, prefix: str) -> None:
    """The key is redacted in the message and in the body of the error."""
    with Server(stream(last)) as server:
        s = writer.Writer(prefix + KEY, 7, base_url=server.url)
        with s, pytest.raises(writer.WriterError) as caught:
            list(s.completions.stream(completion_request=REQUEST, model_id="m"))
    error = caught.value
    shown = f"{error} {error!r} {error.as_dict()} {getattr(error, 'body', '')}"
    assert "secret" not in shown
    assert "[redacted]" in shown
