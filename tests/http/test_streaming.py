import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream, texts
from tests.harness.program import WRITER, Ran, environment
from tests.harness.program import writer as run
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
from writer_cli.apis.dialect import ApiName
from writer_cli.http.stream import CompletionStream

KEY = "kW8-secret"
REQUEST = writer.CompletionRequest(prompt="p")
FAIL = {"tpe": "TooManyRequests", "errors": [{"description": "too many", "key": "k"}]}


def client(server: Server, **settings: Any) -> writer.Writer:
    """Return a client that gives up early, so that a test that fails ends."""
    return writer.Writer(KEY, 7, base_url=server.url, max_retries=0, timeout=30, **settings)


def received(script: Script, **settings: Any) -> list[str]:
    """Return the chunks that a client makes of an answer."""
    with Server(script) as server, client(server, **settings) as s:
        return [
            chunk.text for chunk in s.completions.stream(completion_request=REQUEST, model_id="m")
        ]


def failure(script: Script, **settings: Any) -> tuple[list[str], writer.WriterError]:
    """Return the chunks that came, and the error that ended them."""
    chunks = []
    with Server(script) as server, client(server, **settings) as s:
        with pytest.raises(writer.WriterError) as caught:  # noqa: PT012 - what came before it counts
            for chunk in s.completions.stream(completion_request=REQUEST, model_id="m"):
                chunks.append(chunk.text)  # noqa: PERF401 - kept when the loop is left early
        caught.value.message = caught.value.message.replace(server.host, "HOST")
    return chunks, caught.value


# What is sent.


@pytest.mark.parametrize(
    ("api", "target", "body"),
    [
        ("enterprise", "/llm/organization/7/model/m/completions/stream", {"prompt": "p"}),
        ("studio", "/v1/completions", {"model": "m", "prompt": "p", "stream": True}),
    ],
)
def test_a_stream_is_asked_for_as_the_api_wants_it(
    api: ApiName, target: str, body: dict[str, Any]
) -> None:
    """By a path of its own or by a field; the header says what is expected back."""
    with Server(texts("x")) as server, client(server, api=api) as s:
        list(s.completions.stream(completion_request=REQUEST, model_id="m"))
    [request] = server.requests
    assert (request.method, request.target, request.json()) == ("POST", target, body)
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("field", "value"), [("n", 2), ("best_of", 2), ("logprobs", 0), ("logprobs", 3)]
)
def test_what_cannot_be_streamed_is_refused(field: str, value: int) -> None:
    """A stream has one text and no log probabilities; nothing is sent."""
    request = writer.CompletionRequest.model_validate({"prompt": "p", field: value})
    with Server(texts("x")) as server, client(server) as s, pytest.raises(writer.UsageError) as e:
        s.completions.stream(completion_request=request, model_id="m")
    assert (str(e.value), e.value.field) == (f"{field}: such a request cannot be streamed", field)
    assert server.connections == 0


def test_one_of_one_can_be_streamed() -> None:
    """It is what a stream gives anyway."""
    request = writer.CompletionRequest(prompt="p", n=1, best_of=1)
    with Server(texts("x")) as server, client(server) as s:
        chunks = list(s.completions.stream(completion_request=request, model_id="m"))
    assert [chunk.text for chunk in chunks] == ["x"]


def test_a_customization_is_not_prepared_as_a_stream() -> None:
    """There is no address for it."""
    with writer.Writer(KEY, 7) as s, pytest.raises(writer.UsageError) as caught:
        s.completions.prepare(
            completion_request=REQUEST, model_id="m", customization_id="c", stream=True
        )
    assert str(caught.value) == "customization_id: such a request cannot be streamed"


# What comes back.


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
        (b"", []),
    ],
)
def test_a_stream_is_read_by_the_rules(body: bytes, expected: list[str] | None) -> None:
    """Both shapes of an event, every line end, `[DONE]` or a clean end; however it is cut."""
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
    """JSON can cut one in two between events; a half alone cannot be written as UTF-8."""
    body = "".join(f'data: {{"value":"{value}"}}\n\n' for value in values)
    assert received(stream(body.encode())) == expected


def test_a_stream_may_be_ended_by_the_connection() -> None:
    """A body without length and chunks ends where the connection does."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
    assert received([head, event("a"), CLOSE]) == ["a"]


@pytest.mark.parametrize("api", ["enterprise", "studio"])
def test_an_answer_that_came_whole_is_a_stream_of_one(api: ApiName) -> None:
    """A gateway may not stream; the text is the same."""
    assert received(completion("whole", "other"), api=api) == ["whole"]


def test_each_chunk_comes_before_the_next_is_sent() -> None:
    """Nothing waits for more than what it has; with a deadline too."""
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


def test_a_stream_knows_what_it_has_and_how_it_came() -> None:
    """Text so far, and the same facts as an answer that came whole."""
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
    """The server notices at once, in the middle of a text, and no thread is left."""
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
    """With and without a deadline."""
    for settings in ({}, {"deadline": 30}):
        with Server(texts("x")) as server, client(server, **settings) as s:
            for _ in range(3):
                list(s.completions.stream(completion_request=REQUEST, model_id="m"))
        assert server.connections == 1


# What goes wrong.


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
def test_a_stream_that_is_cut_says_so(
    script: Script, message: str, settings: dict[str, Any]
) -> None:
    """What came before is there, and it is not tried again."""
    chunks, error = failure(script, **settings)
    assert chunks == ["a"]
    assert (error.kind, error.exit_code, error.retryable) == ("cut", 9, False)
    assert error.message.startswith(message)
    assert error.hint == "what came is incomplete: try again"


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
            b"event: error\ndata: it broke\n\n",
            "server",
            500,
            "HTTP 500 Internal Server Error: it broke",
        ),
        (b"event: error\ndata: [1]\n\n", "server", 500, "HTTP 500 Internal Server Error: [1]"),
        (b"event: error\n" + event("x"), "server", 500, None),
    ],
)
def test_an_error_inside_a_stream_is_an_error_of_the_api(
    last: bytes, kind: str, status: int, message: str | None
) -> None:
    """As a named event or as a frame, whatever it holds."""
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
def test_an_event_that_is_no_text_is_a_bad_answer(data: str) -> None:
    """The message quotes it."""
    chunks, error = failure(stream(event("a"), f"data: {data}\n\n".encode()))
    assert chunks == ["a"]
    assert (type(error), error.exit_code) == (writer.BadAnswerError, 9)
    assert error.message.startswith(f"the stream has an event that is no text: {data[:100]}")


def test_an_event_without_end_is_refused_while_it_arrives() -> None:
    """It would fill the memory."""

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
    """At the size that no answer has."""

    def script(_: Received) -> Iterator[Step]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        while True:
            yield event("x" * 2**20)

    chunks, error = failure(script)
    assert len(chunks) == 63
    assert error.message == "the answer is larger than 64 MiB"


def test_a_stream_that_stops_is_a_timeout() -> None:
    """It is not tried again, for its beginning has been shown."""
    with Server([*texts("a")[:-1], HANG]) as server:
        s = writer.Writer(KEY, 7, base_url=server.url, timeout=0.2)
        chunks = s.completions.stream(completion_request=REQUEST, model_id="m")
        assert next(chunks).text == "a"
        with pytest.raises(writer.RequestTimeoutError, match=r"stopped answering for 0.2 s$") as e:
            next(chunks)
        s.close()
    assert e.value.retryable is False
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            http(200, b"<h1>Welcome</h1>", "text/html"),
            "the answer is text/html and not JSON: Welcome",
        ),
        (http(200, b"{}"), "the answer has no choices"),
        (
            http(200, {"choices": [5]}),
            "the answer is JSON, and not of the shape that was asked for",
        ),
        (http(200, b"x", None), "the answer is of no type and not JSON: x"),
    ],
)
def test_an_answer_that_is_neither_stream_nor_completion_is_bad(
    script: bytes, message: str
) -> None:
    """The same as where no stream was asked for."""
    chunks, error = failure(script)
    assert chunks == []
    assert type(error) is writer.BadAnswerError
    assert error.message.startswith(message)


def test_a_page_in_the_place_of_a_stream_hints_at_the_other_api() -> None:
    """A host that is retired may answer so."""
    _, error = failure(http(200, b"<h1>Moved</h1>", "Text/HTML"))
    assert str(error.hint).endswith("; a key of AI Studio is for --api studio")


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
    """In no message and in no body of an error."""
    with Server(stream(last)) as server:
        s = writer.Writer(prefix + KEY, 7, base_url=server.url)
        with s, pytest.raises(writer.WriterError) as caught:
            list(s.completions.stream(completion_request=REQUEST, model_id="m"))
    error = caught.value
    shown = f"{error} {error!r} {error.as_dict()} {getattr(error, 'body', '')}"
    assert "secret" not in shown
    assert "[redacted]" in shown


# The command.


def ask(server: Server, *arguments: str, **terminal: Any) -> Ran:
    """Run `writer complete` against a server."""
    env = env_for(server)
    return run("complete", "-m", "m", "p", "--max-retries", "0", *arguments, env=env, **terminal)


def env_for(server: Server) -> dict[str, str]:
    """Return the environment of a process that asks a server."""
    return {"WRITER_API_KEY": KEY, "WRITER_ORGANIZATION_ID": "7", "WRITER_BASE_URL": server.url}


def test_a_stream_in_a_pipe_is_the_text() -> None:
    """As it came, and a line break at its end."""
    with Server(texts("a\x1b[31m", "", "b\u2028")) as server:
        assert ask(server, "--stream") == Ran(0, "a\x1b[31mb\u2028\n", "")
        assert ask(server, "--stream", "--no-newline") == Ran(0, "a\x1b[31mb\u2028", "")
    with Server(texts("a", "b\n")) as server:
        assert ask(server, "--stream") == Ran(0, "ab\n", "")


def test_a_stream_on_a_terminal_cannot_act_on_it() -> None:
    """Unless it is asked to."""
    with Server(texts("a\x1b", "[31mb")) as server:
        assert ask(server, stdout_is_terminal=True) == Ran(0, "a\u241b[31mb\n", "")
        assert ask(server, "--raw", stdout_is_terminal=True) == Ran(0, "a\x1b[31mb\n", "")


def is_stream(request: Received) -> bool:
    """Whether a request asks for a stream."""
    return request.target.endswith("/stream")


def either(request: Received) -> Any:
    """Answer as one is asked."""
    return texts("x") if is_stream(request) else completion(*["x"] * request.json().get("n", 1))


@pytest.mark.parametrize(
    ("arguments", "stdout_is_terminal", "streams"),
    [
        ([], True, True),
        ([], False, False),
        (["--stream"], False, True),
        (["--no-stream"], True, False),
        (["--json"], True, False),
        (["--json", "--stream"], True, True),
        (["-o", "OUT"], True, False),
        (["-o", "OUT", "--stream"], False, True),
        (["-n", "2"], True, False),
        (["--best-of", "2"], True, False),
        (["--logprobs", "0"], True, False),
        (["-n", "1"], True, True),
    ],
)
def test_a_terminal_gets_a_stream_where_it_can(
    arguments: list[str], stdout_is_terminal: bool, streams: bool, tmp_path: Path
) -> None:
    """By default; a flag decides otherwise."""
    arguments = [str(tmp_path / "out") if a == "OUT" else a for a in arguments]
    with Server(either) as server:
        ran = ask(server, *arguments, stdout_is_terminal=stdout_is_terminal)
    assert ran.code == 0
    assert [is_stream(request) for request in server.requests] == [streams]


def test_a_customization_is_quietly_not_streamed() -> None:
    """On a terminal, by default."""
    with Server(completion("x")) as server:
        env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        arguments = ["complete-custom", "-m", "m", "--customization-id", "c", "p"]
        assert run(*arguments, env=env, stdout_is_terminal=True) == Ran(0, "x\n", "")
    assert server.requests[0].target.endswith("/model/m/customization/c/completions")


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["complete", "-n", "2"], "--n"),
        (["complete", "--best-of", "2"], "--best-of"),
        (["complete", "--logprobs", "1"], "--logprobs"),
        (["complete-custom", "--customization-id", "c"], "--customization-id"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"]])
def test_asking_for_a_stream_that_cannot_be_is_a_usage_error(
    arguments: list[str], flag: str, more: list[str]
) -> None:
    """It names the flag, and no other model is asked in its place."""
    ran = run(*arguments, "--stream", "--sandbox", "p", *more)
    assert (ran.code, ran.output) == (2, "")
    assert f"{flag}: such a request cannot be streamed" in ran.errors
    assert "leave it out, or do without --stream" in ran.errors


def test_a_cut_stream_prints_what_came_and_says_so() -> None:
    """A pipe gets no line break that was not there; a terminal gets one before the message."""
    with Server(stream(event("one "), event("two"), b"data: {")) as server:
        said = (
            "error: the stream ended in the middle of an event\n"
            "hint: what came is incomplete: try again\n"
        )
        assert ask(server, "--stream") == Ran(9, "one two", said)
        assert ask(server, stdout_is_terminal=True) == Ran(9, "one two\n", said)


def test_a_cut_stream_in_json_has_what_came() -> None:
    """In the error, with the number of attempts; there is no result."""
    with Server(stream(event("one "), event("two"), b"data: {")) as server:
        ran = ask(server, "--stream", "--json")
    assert (ran.code, ran.output) == (9, "")
    error = json.loads(ran.errors)["error"]
    assert (error["kind"], error["text"], error["attempts"]) == ("cut", "one two", 1)


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        ([*texts("one ", "two")[:-1], HANG], "timeout", 8),
        (stream(event("one "), event("two"), event(FAIL)), "rate_limit", 6),
        (stream(event("one "), event("two"), b"data: 5\n\n"), "bad_answer", 9),
        ([*texts("one ", "two")[:-1], RESET], "cut", 9),
    ],
    ids=["stop", "error of the API", "no text", "reset"],
)
def test_whatever_ends_a_stream_its_error_has_what_came(
    script: Script, kind: str, code: int
) -> None:
    """A script that paid for it has it in the JSON, and Python in the error."""
    with Server(script) as server:
        ran = ask(server, "--stream", "--json", "--timeout", "0.5")
        with writer.Writer(KEY, 7, base_url=server.url, timeout=0.5, max_retries=0) as s:
            chunks = s.completions.stream(completion_request=REQUEST, model_id="m")
            with pytest.raises(writer.WriterError) as caught:
                list(chunks)
    assert (ran.code, ran.output) == (code, "")
    error = json.loads(ran.errors)["error"]
    assert (error["kind"], error["text"], error["attempts"]) == (kind, "one two", 1)
    assert (caught.value.kind, caught.value.text, caught.value.attempts) == (kind, "one two", 1)


def test_a_deadline_in_the_middle_of_a_stream_keeps_what_came() -> None:
    """In the JSON of the error too."""
    with Server([*texts("one ", "two")[:-1], HANG]) as server:
        ran = ask(server, "--stream", "--json", "--deadline", "1")
    assert ran.code == 8
    assert json.loads(ran.errors)["error"]["text"] == "one two"


def test_a_stream_in_json_is_one_object() -> None:
    """The same as without a stream."""
    with Server(either) as server:
        streamed, whole = (
            json.loads(ask(server, "--json", flag).output) for flag in ("--stream", "--no-stream")
        )
    for result in (streamed, whole):
        result.pop("elapsed_s")
        result.pop("action_id")
    assert streamed == whole
    assert streamed["choices"] == [
        {"index": 0, "text": "x", "logprobs": None, "finish_reason": None}
    ]
    assert streamed["attempts"] == 1


def test_a_stream_goes_to_a_file_whole(tmp_path: Path) -> None:
    """Until it is whole, the old file is there."""
    out = tmp_path / "out"
    out.write_text("old")
    during = []

    def script(_: Received) -> Iterator[Step]:
        *steps, last = texts("one ", "two")
        yield from steps
        during.append(out.read_text())
        yield last

    with Server(script) as server:
        assert ask(server, "--stream", "-o", str(out)) == Ran(0, "", "")
    assert (during, out.read_text()) == (["old"], "one two\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_came_of_a_cut_stream_is_kept_beside_the_file(tmp_path: Path) -> None:
    """The old file stays as it was."""
    out = tmp_path / "out"
    out.write_text("old")
    with Server(stream(event("one "), event("two"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", str(out))
    assert (ran.code, ran.output) == (9, "")
    assert ran.errors.startswith(f"warning: what came of the text is in {out}.partial\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "out": "old",
        "out.partial": "one two",
    }


def test_a_failure_before_any_text_leaves_no_part(tmp_path: Path) -> None:
    """Nothing came, so nothing is kept."""
    with Server(http(500)) as server:
        assert ask(server, "--stream", "-o", str(tmp_path / "out")).code == 7
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_cannot_be_kept_is_printed(tmp_path: Path) -> None:
    """It was paid for."""
    (tmp_path / "out.partial").mkdir()
    with Server(stream(event("one"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", str(tmp_path / "out"))
    assert (ran.code, ran.output) == (9, "one")
    assert "warning" not in ran.errors


def test_a_part_for_a_device_is_printed() -> None:
    """A device has nothing beside it."""
    with Server(stream(event("one"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", "/dev/null")
    assert (ran.code, ran.output) == (9, "one")
    assert not Path("/dev/null.partial").exists()


PADDING = (b":" + b" " * 1000 + b"\n\n") * 32_000
"""Comments that two sockets cannot hold: once they are sent, what stands before them was read."""


@pytest.mark.parametrize(
    ("flags", "output", "kinds"), [([], "one ", []), (["--json"], "", ["interrupted"])]
)
def test_an_interrupted_stream_loses_nothing(
    flags: list[str], output: str, kinds: list[str]
) -> None:
    """What came has been printed, or is within the error."""

    def script(_: Received) -> Iterator[Step]:
        yield from stream(event("one "), PADDING, whole=False)[:-1]
        os.kill(os.getpid(), signal.SIGINT)
        yield HANG

    with Server(script) as server:
        ran = ask(server, "--stream", *flags)
    errors = [json.loads(line)["error"] for line in ran.errors.splitlines()]
    assert (ran.code, ran.output) == (130, output)
    assert [error["kind"] for error in errors] == kinds
    assert all((error["exit_code"], error["text"]) == (130, "one ") for error in errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_came_as_json_outlives_a_signal(number: signal.Signals) -> None:
    """It is within the error, for it was paid for; the process ends by the signal all the same."""
    has_come = threading.Event()

    def script(_: Received) -> Iterator[Step]:
        yield from stream(event("one "), PADDING, whole=False)[:-1]
        has_come.set()
        yield HANG

    with (
        Server(script) as server,
        subprocess.Popen(
            [WRITER, "complete", "-m", "m", "--json", "--stream", "p"],
            env=environment(env_for(server)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert has_come.wait(30)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    error = json.loads(errors)["error"]
    assert (process.returncode, output) == (-number, b"")
    assert (error["kind"], error["exit_code"], error["text"]) == (
        "interrupted",
        128 + number,
        "one ",
    )


def test_a_stream_that_does_not_fit_is_printed_as_safely_as_any() -> None:
    """The device is full; a terminal is not acted on."""
    with Server(texts("a\x1b", "[31mb")) as server:
        for is_terminal, text in ((False, "a\x1b[31mb\n"), (True, "a\u241b[31mb\n")):
            ran = ask(server, "--stream", "-o", "/dev/full", stdout_is_terminal=is_terminal)
            assert (ran.code, ran.output) == (11, text)
            assert "the text went to standard output instead" in ran.errors


def test_a_verbose_stream_says_how_it_came() -> None:
    """On standard error."""
    with Server(texts("x")) as server:
        ran = ask(server, "--stream", "--verbose")
    assert (ran.code, ran.output) == (0, "x\n")
    assert re.fullmatch(
        r"HTTP 200 in \d\.\d{3} s, attempts: 1, Action-Id: None, "
        rf"Writer\({re.escape(server.url)}, organization_id=7\)\n",
        ran.errors,
    )


def test_the_sandbox_streams_the_text_that_it_gives_whole() -> None:
    """In both dialects."""
    for api in ("enterprise", "studio"):
        arguments = ["complete", "--sandbox", "--api", api, "Once upon a time"]
        whole, streamed = (run(*arguments, flag) for flag in ("--no-stream", "--stream"))
        assert whole.code == 0
        assert whole == streamed


def test_the_sandbox_cuts_a_stream_on_demand() -> None:
    """So that a script can be rehearsed."""
    ran = run("complete", "--sandbox", "-m", "fault-cut", "--stream", "Once upon a time")
    assert ran.code == 9
    assert ran.output
    assert "was cut short" in ran.errors
