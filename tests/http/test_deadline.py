import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream, texts
from tests.harness.program import WRITER, Ran, environment
from tests.harness.program import writer as run
from tests.harness.servers import (
    HANG,
    Received,
    Script,
    Server,
    Step,
    completion,
    dripped,
    http,
)
from writer_cli.http import deadline

KEY = "kW8-secret"
REQUEST = writer.CompletionRequest(prompt="p")
SHORT = 0.3
"""The timeout or deadline in seconds of requests that should fail."""

GRACE = 1.0
"""Seconds by which a deadline may be overrun."""

PASSED = "the deadline passed before the answer was complete"
HINT = "allow more time with --deadline SECONDS, or ask for fewer tokens with --max-tokens"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n"

NEVER_WHOLE: dict[str, Script] = {
    "silence": [HANG],
    "a head byte by byte": dripped(b"HTTP/1.1 200 OK\r\nX: ", piece=b"x"),
    "a body byte by byte": dripped(HEAD % b"application/json", piece=b" "),
    "half a body": [HEAD % b"application/json" + b"{", HANG],
    "an error byte by byte": dripped(
        HEAD.replace(b"200 OK", b"500 Oh") % b"application/json", piece=b" "
    ),
    "a stream byte by byte": dripped(HEAD % b"text/event-stream", piece=b":"),
    "a stream of comments": dripped(HEAD % b"text/event-stream", piece=b": wait\n\n"),
    "half a stream": [HEAD % b"text/event-stream" + event("x"), HANG],
}


def ask(client: writer.Writer, *, streams: bool) -> str:
    """Return the text of a completion, with or without streaming."""
    if streams:
        with client.completions.stream(completion_request=REQUEST, model_id="m") as chunks:
            return "".join(chunk.text for chunk in chunks)
    response = client.completions.create(completion_request=REQUEST, model_id="m")
    assert response.completion_response is not None
    return response.completion_response.choices[0].text


@pytest.mark.parametrize("cause", ["a body byte by byte", "an error byte by byte"])
def test_a_whole_answer_has_the_timeout_for_all_its_parts(cause: str) -> None:
    """The timeout covers the whole answer, also if bytes keep coming; there is no retry."""
    with (
        Server(NEVER_WHOLE[cause]) as server,
        writer.Writer(KEY, 7, base_url=server.url, timeout=SHORT) as client,
        pytest.raises(writer.RequestTimeoutError) as caught,
    ):
        ask(client, streams=False)
    assert caught.value.message == f"no complete answer within {SHORT} s"
    assert (caught.value.retryable, len(server.requests)) == (False, 1)


def test_an_answer_that_is_complete_after_the_timeout_is_kept() -> None:
    """If the last bytes come too late but complete the answer, it is returned."""
    whole = completion("x")

    def script(_: Received) -> Iterator[Step]:
        for piece in (whole[:-5], whole[-5:]):
            time.sleep(1.2)  # each part is in time, and both together are late
            yield piece

    with (
        Server(script) as server,
        writer.Writer(KEY, 7, base_url=server.url, timeout=2) as client,
    ):
        assert ask(client, streams=False) == "x"


def test_a_stream_has_the_timeout_for_each_of_its_parts() -> None:
    """A stream may take longer than the timeout if each event comes within it."""

    def script(_: Received) -> Iterator[Step]:
        head, *events, last = texts(*"abcdefgh")
        yield head
        for piece in events:
            time.sleep(0.2)  # together they take longer than the timeout of one
            yield piece
        yield last

    with (
        Server(script) as server,
        writer.Writer(KEY, 7, base_url=server.url, timeout=1.5) as client,
    ):
        assert ask(client, streams=True) == "abcdefgh"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("cause", NEVER_WHOLE)
def test_an_answer_that_never_becomes_whole_is_given_up_on(cause: str, *, streams: bool) -> None:
    """An answer that is never complete ends with a timeout error at the deadline."""
    before = set(threading.enumerate())
    with (
        Server(NEVER_WHOLE[cause]) as server,
        writer.Writer(KEY, 7, base_url=server.url, deadline=SHORT) as client,
    ):
        started = time.monotonic()
        with pytest.raises(writer.RequestTimeoutError) as caught:
            ask(client, streams=streams)
        assert SHORT <= time.monotonic() - started < SHORT + GRACE
    assert (caught.value.message, caught.value.hint) == (PASSED, HINT)
    assert (caught.value.kind, caught.value.exit_code) == ("timeout", 8)
    assert len(server.requests) == 1
    until(lambda: set(threading.enumerate()) <= before)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is true that happens in another thread."""
    ends = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)  # there is no event to wait for


def test_a_name_that_is_looked_up_for_too_long_is_given_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline ends the wait for DNS; nothing is sent when the name is found later."""
    real, found = socket.getaddrinfo, threading.Event()

    def slow(*arguments: Any, **named: Any) -> Any:
        assert found.wait(30)
        return real(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with (
        Server(completion("late")) as server,
        writer.Writer(KEY, 7, base_url=server.url, deadline=SHORT) as client,
    ):
        before = set(threading.enumerate())
        started = time.monotonic()
        with pytest.raises(writer.RequestTimeoutError, match=PASSED):
            ask(client, streams=False)
        assert time.monotonic() - started < SHORT + GRACE
        found.set()
        until(lambda: set(threading.enumerate()) <= before)
    assert (server.connections, server.requests) == (1, [])


def test_a_timeout_that_is_shorter_than_the_deadline_ends_the_wait() -> None:
    """A timeout that is shorter than the deadline ends the wait with its own message."""
    with Server([HANG]) as server:
        client = writer.Writer(KEY, 7, base_url=server.url, timeout=0.2, deadline=30, max_retries=0)
        with client, pytest.raises(writer.RequestTimeoutError, match=r"within 0.2 s$"):
            ask(client, streams=False)


def test_retries_stay_within_the_deadline() -> None:
    """The call is retried while there is time, and the last failure is the error."""
    with Server(http(503, headers=[("retry-after-ms", "100")])) as server:
        client = writer.Writer(KEY, 7, base_url=server.url, max_retries=1000, deadline=SHORT)
        started = time.monotonic()
        with client, pytest.raises(writer.SDKError) as caught:
            ask(client, streams=False)
        assert time.monotonic() - started < SHORT + GRACE
    assert caught.value.status_code == 503
    assert caught.value.attempts == len(server.requests)
    assert 1 <= len(server.requests) <= 3


def test_late_attempts_are_cut_by_the_deadline() -> None:
    """The deadline covers all attempts together, and ends the one that is under way."""
    with Server(http(503, headers=[("retry-after-ms", "1")]), [HANG]) as server:
        client = writer.Writer(KEY, 7, base_url=server.url, deadline=SHORT)
        started = time.monotonic()
        with client, pytest.raises(writer.RequestTimeoutError, match=PASSED) as caught:
            ask(client, streams=True)
        assert time.monotonic() - started < SHORT + GRACE
    assert caught.value.attempts == 2


@pytest.mark.parametrize("streams", [False, True])
def test_a_deadline_that_is_kept_changes_nothing(*, streams: bool) -> None:
    """With a deadline the text and the connection are the same, and no thread is left."""
    with (
        Server(texts("a", "b") if streams else completion("ab")) as server,
        writer.Writer(KEY, 7, base_url=server.url, deadline=30) as client,
    ):
        assert ask(client, streams=streams) == "ab"  # this opens the connection
        before = set(threading.enumerate())
        assert [ask(client, streams=streams) for _ in range(2)] == ["ab"] * 2
        assert set(threading.enumerate()) <= before
        assert server.connections == 1


@pytest.mark.parametrize("streams", [False, True])
def test_errors_are_the_same_with_a_deadline(*, streams: bool) -> None:
    """Errors are the same with and without a deadline."""
    for script in (http(401), http(200, b"<p>", "text/html"), stream(event("a"), whole=False)):
        shown = []
        for seconds in (None, 30.0):
            with Server(script) as server:
                client = writer.Writer(KEY, 7, base_url=server.url, deadline=seconds)
                with client, pytest.raises(writer.WriterError) as caught:
                    ask(client, streams=streams)
                shown.append(str(caught.value.as_dict()).replace(server.host, "HOST"))
        assert shown[0] == shown[1]


def test_the_deadline_includes_the_time_of_a_slow_reader() -> None:
    """The deadline includes the time that the reader of a stream takes."""
    with Server(texts("a", "b")) as server:
        client = writer.Writer(KEY, 7, base_url=server.url, deadline=SHORT)
        with client, client.completions.stream(completion_request=REQUEST, model_id="m") as chunks:
            assert next(chunks).text == "a"
            time.sleep(SHORT)  # the slow reader
            with pytest.raises(writer.RequestTimeoutError, match=PASSED):
                list(chunks)


def test_nothing_is_read_before_the_reader_asks() -> None:
    """With a deadline, a generator advances only when the reader asks for the next item."""
    steps = []

    def pieces() -> Generator[int]:
        try:
            for step in range(10):
                steps.append(step)
                yield step
        finally:
            steps.append(-1)

    watched = deadline.with_deadline(time.monotonic() + 30, pieces())
    assert steps == []
    assert [next(watched), next(watched)] == [0, 1]
    assert steps == [0, 1]
    watched.close()
    assert steps == [0, 1, -1]


# The command.


def test_the_sandbox_shows_a_deadline_that_passes() -> None:
    """`--deadline` ends the wait for `fault-slow` with exit code 8 and a hint."""
    started = time.monotonic()
    ran = run("complete", "--sandbox", "-m", "fault-slow", "--deadline", str(SHORT), "hi")
    assert time.monotonic() - started < SHORT + GRACE
    assert ran == Ran(8, "", f"error: {PASSED}\nhint: {HINT}\n")


def test_a_process_ends_at_its_deadline() -> None:
    """The process does not wait for the thread that still reads the answer."""
    arguments = [WRITER, "complete", "--deadline", "1", "-m", "m", "hi"]
    with Server(NEVER_WHOLE["a head byte by byte"]) as server:
        env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        started = time.monotonic()
        done = subprocess.run(
            arguments, env=environment(env), capture_output=True, timeout=60, check=False
        )
        assert time.monotonic() - started < 1 + 2 * GRACE  # includes the start of a process
    assert (done.returncode, done.stdout) == (8, b"")
    assert done.stderr.decode() == f"error: {PASSED}\nhint: {HINT}\n"


def test_a_stream_that_reaches_its_deadline_keeps_the_text_so_far(tmp_path: Path) -> None:
    """The text until the deadline is on standard output, or in the `.partial` file."""
    out = tmp_path / "out"
    with Server(NEVER_WHOLE["half a stream"]) as server:
        env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        arguments = ["complete", "-m", "m", "p", "--stream", "--deadline", str(SHORT)]
        ran = run(*arguments, env=env)
        assert (ran.code, ran.output) == (8, "x")
        assert run(*arguments, "-o", str(out), env=env).code == 8
    assert (tmp_path / "out.partial").read_text() == "x"
    assert not out.exists()


def test_a_deadline_is_for_every_command() -> None:
    """`writer models` has a deadline too, and its JSON error has the attempts."""
    with Server([HANG]) as server:
        env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        ran = run("models", "--deadline", str(SHORT), "--json", env=env)
    error = json.loads(ran.errors)["error"]
    assert (ran.code, error["kind"], error["attempts"]) == (8, "timeout", 1)


@pytest.mark.parametrize("value", ["0", "-1", "1e9"])
def test_an_invalid_deadline_is_a_usage_error(value: str) -> None:
    """The error has the flag, the value and the range."""
    ran = run("complete", "--sandbox", "p", "--deadline", value)
    assert ran == Ran(
        2,
        "",
        f"error: --deadline {float(value):g} is out of range: over 0, up to 1000000\n"
        "hint: --deadline 60 gives up after a minute\n",
    )
