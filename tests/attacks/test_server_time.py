"""Slow servers: `--timeout` alone ends the wait, without `--deadline`."""

import contextlib
import gzip
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event
from tests.harness.program import writer as run
from tests.harness.servers import KEY, Received, Script, Server, Step, dripped
from writer_cli.apis.access import ApiName

TIMEOUT = 0.3
"""Seconds."""

LONGEST = 2 * TIMEOUT + 10.0
"""Seconds after which a wait must have ended, on a busy machine; attacks last twice as long."""

REQUEST = writer.CompletionRequest(prompt="p")


def flood(begin: bytes, piece: bytes) -> Callable[[Received], Iterator[Step]]:
    """Return an answer that repeats a piece as fast as it is read and never ends."""

    def script(_: Received) -> Iterator[Step]:
        yield begin
        yield from itertools.repeat(1000 * piece)

    return script


def head(content_type: str, *fields: str) -> bytes:
    """Return the head of an answer in chunked encoding."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", *fields]
    return "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode()


def chunk(content: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(content), content)


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
JSON, STREAM = head("application/json"), head("text/event-stream")

HEADS: dict[str, Script] = {
    "a status line byte by byte": dripped(b"HTTP/1.1 200 ", piece=b"O"),
    "a header field byte by byte": dripped(b"HTTP/1.1 200 OK\r\nX: ", piece=b"x"),
    "header fields one by one": dripped(b"HTTP/1.1 200 OK\r\n", piece=b"X: y\r\n"),
    "103 now and then": dripped(piece=EARLY_HINTS),
    "100 now and then": dripped(piece=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a storm of 103": flood(b"", EARLY_HINTS),
}
"""Attacks that never complete the head of an answer."""

BODIES: dict[str, Script] = {
    "the length of a chunk byte by byte": dripped(JSON, b"1;", piece=b"x"),
    "the end of the chunks byte by byte": dripped(JSON, chunk(b"{}"), b"0\r\nX: ", piece=b"x"),
    "chunks of a space": dripped(JSON, piece=chunk(b" ")),
    "compressed nothing": dripped(
        head("application/json", "Content-Encoding: gzip"),
        chunk(gzip.compress(b"")[:10]),
        piece=chunk(b"\0\0\0\xff\xff"),
    ),
}
"""Attacks that never complete the body of an answer."""

STREAMS: dict[str, Script] = {
    "comments now and then": dripped(STREAM, piece=chunk(b": wait\n\n")),
    "a comment byte by byte": dripped(STREAM, piece=chunk(b":")),
    "blank lines": dripped(STREAM, piece=chunk(b"\n")),
    "events of another name": dripped(STREAM, piece=chunk(b"event: ping\ndata: {}\n\n")),
    "the length of a chunk byte by byte": dripped(STREAM, b"1;", piece=b"x"),
    "comments after a text": dripped(STREAM, chunk(event("x")), piece=chunk(b": wait\n\n")),
}
"""Attacks that never send the next event of a stream."""


def ask(client: writer.Writer, *, streams: bool) -> None:
    """Request a completion, with or without streaming."""
    if streams:
        list(client.completions.stream(completion_request=REQUEST, model_id="m"))
    else:
        client.completions.create(completion_request=REQUEST, model_id="m")


def failure(script: Script, *, streams: bool, api: ApiName = "enterprise") -> writer.WriterError:
    """Return the error of a timeout, and check that it comes in time."""
    with (
        Server(script) as server,
        writer.Writer(
            KEY, 7, api=api, base_url=server.url, timeout=TIMEOUT, max_retries=0
        ) as client,
    ):
        started = time.monotonic()
        with pytest.raises(writer.RequestTimeoutError) as caught:
            ask(client, streams=streams)
        assert time.monotonic() - started < LONGEST
        caught.value.message = caught.value.message.replace(server.host, "HOST")
    assert (caught.value.kind, caught.value.exit_code) == ("timeout", 8)
    return caught.value


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("attack", HEADS)
def test_a_head_that_never_ends_is_given_up_on(attack: str, *, streams: bool) -> None:
    """The timeout covers the whole head, and the call may be retried."""
    error = failure(HEADS[attack], streams=streams)
    assert error.message == f"no answer from HOST within {TIMEOUT} s"
    assert error.retryable


@pytest.mark.parametrize("attack", BODIES)
def test_a_body_that_never_ends_is_given_up_on(attack: str) -> None:
    """The timeout covers the whole body, and the call is not retried."""
    error = failure(BODIES[attack], streams=False)
    assert error.message in {
        f"the answer from HOST did not continue within {TIMEOUT} s",
        f"no complete answer within {TIMEOUT} s",
    }
    assert not error.retryable


@pytest.mark.parametrize("attack", STREAMS)
def test_a_stream_without_events_is_given_up_on(attack: str) -> None:
    """The timeout runs from event to event; comments and unknown events do not count."""
    for api in ("enterprise", "studio") if attack == "comments now and then" else ("enterprise",):
        error = failure(STREAMS[attack], streams=True, api=api)
        assert error.message == f"the answer from HOST did not continue within {TIMEOUT} s"
        assert not error.retryable


def test_a_slow_reader_costs_the_server_no_time() -> None:
    """The timeout for an event begins when the reader asks for it."""
    first = chunk(event("a") + b": wait\n\n")
    with (
        Server([STREAM, first, chunk(event("b")), b"0\r\n\r\n"]) as server,
        writer.Writer(KEY, 7, base_url=server.url, timeout=TIMEOUT) as client,
        client.completions.stream(completion_request=REQUEST, model_id="m") as stream,
    ):
        assert next(stream).text == "a"
        time.sleep(2 * TIMEOUT)  # the slow reader
        assert [chunk.text for chunk in stream] == ["b"]


def test_a_server_that_reads_slowly_is_given_up_on() -> None:
    """The timeout includes the time to send a long prompt."""

    class Unread(Server):
        def _serve(self, connection: Any) -> None:
            with connection, contextlib.suppress(ConnectionError):
                for _ in range(20):
                    time.sleep(0.05)  # the server must be slow
                    connection.recv(65536)

    with (
        Unread(b"") as server,
        writer.Writer(KEY, 7, base_url=server.url, timeout=TIMEOUT, max_retries=0) as client,
    ):
        started = time.monotonic()
        request = writer.CompletionRequest(prompt="p" * 32 * 2**20)
        with pytest.raises(writer.RequestTimeoutError):
            client.completions.create(completion_request=request, model_id="m")
        assert time.monotonic() - started < LONGEST


@pytest.mark.parametrize("command", [["complete", "p"], ["complete", "--stream", "p"], ["models"]])
def test_every_command_gives_up(command: list[str]) -> None:
    """Exit code 8, no output, and a hint with the flag to change."""
    with Server(HEADS["103 now and then"]) as server:
        ran = run(*command, "--timeout", str(TIMEOUT), env=server.env)
    assert (ran.code, ran.output) == (8, "")
    assert ran.errors.startswith(f"error: no answer from {server.host} within {TIMEOUT} s\nhint: ")
    assert "--timeout SECONDS" in ran.errors
