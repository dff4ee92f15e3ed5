"""How the sandbox's server handles good and bad HTTP."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.serving import (
    PATIENCE,
    REQUEST,
    connect,
    exchange,
    is_serving,
    parsed,
    post,
    read_all,
)
from writer_cli.sandbox.server import LARGEST_BODY, SandboxServer


def send_without_end(connection: socket.socket) -> None:
    """Send a byte from time to time until that fails or the test has waited too long."""
    for _ in range(PATIENCE * 100):
        connection.sendall(b"x")
        time.sleep(0.01)


BAD_REQUESTS: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
    "one word": (b"hello\r\n\r\n", 400),
    "four words": (b"GET / a HTTP/1.1\r\n\r\n", 400),
    "a version that is none": (b"GET / HTTP/one\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "an endless line": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    "an endless header": (REQUEST.encode() + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "too many headers": (REQUEST.encode() + b"X: y\r\n" * 200 + b"\r\n", 431),
    "a method that is none": (REQUEST.replace("GET", "BREW").encode() + b"\r\n", 501),
    "a length that is none": (REQUEST.encode() + b"Content-Length: many\r\n\r\n", 400),
    "a negative length": (REQUEST.encode() + b"Content-Length: -1\r\n\r\n", 400),
    "a length too large": (
        REQUEST.encode() + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1),
        413,
    ),
    "a length beyond numbers": (
        REQUEST.encode() + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        413,
    ),
    "a body in chunks": (
        REQUEST.encode() + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        411,
    ),
    "an array": (
        post("sandbox", length=2).partition(b"\r\n\r\n")[0] + b"\r\n\r\n[]",
        400,
    ),
    "a blank key": (
        b"GET /v1/models HTTP/1.1\r\nAuthorization:  \r\nConnection: close\r\n\r\n",
        401,
    ),
    "another way to write a path": (
        REQUEST.replace("/v1", "/v1/../v1").encode() + b"Connection: close\r\n\r\n",
        404,
    ),
    "a path out of the files": (
        REQUEST.replace("/v1/models", "/../../etc/passwd").encode() + b"Connection: close\r\n\r\n",
        404,
    ),
    "bytes that are no ASCII": (
        REQUEST.encode().replace(b"/v1", b"/\xff\x00") + b"Connection: close\r\n\r\n",
        404,
    ),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_as_the_api_would(
    serve: Callable[..., SandboxServer], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A bad request gets a `FailResponse` with an Action-Id, and the server keeps running."""
    server = serve()
    sent, expected = BAD_REQUESTS[name]
    status, headers, body = parsed(exchange(server, sent))
    document = json.loads(body)
    assert status == expected
    assert document.keys() == {"tpe", "errors", "extras"}
    assert document["errors"][0]["description"]
    assert re.fullmatch("sandbox-[0-9a-f]{16}", headers["action-id"])
    assert headers["content-type"] == "application/json"
    assert is_serving(server)
    assert capfd.readouterr() == ("", "")


def test_a_body_that_ends_early_is_refused(serve: Callable[..., SandboxServer]) -> None:
    """A body that is shorter than its Content-Length is refused, also if it is valid JSON."""
    with connect(serve()) as connection:
        connection.sendall(post("sandbox", length=1000))
        connection.shutdown(socket.SHUT_WR)
        status, _, body = parsed(read_all(connection))
    assert (status, json.loads(body)["errors"][0]["description"]) == (
        400,
        "the body is shorter than its Content-Length",
    )


def test_a_refusal_reaches_a_client_that_is_still_sending(
    serve: Callable[..., SandboxServer],
) -> None:
    """The server reads on before it closes, so that the refusal is not lost."""
    server = serve()
    head = REQUEST.replace("GET", "POST").encode() + b"Content-Length: 99999999999\r\n\r\n"
    status, _, body = parsed(exchange(server, head + b"x" * 3_000_000))
    assert (status, json.loads(body)["errors"][0]["description"]) == (
        413,
        "the body is larger than 64 MiB",
    )


def test_the_server_leaves_a_refused_client_that_never_stops_sending(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a refusal the server reads for a moment and then closes the connection."""
    monkeypatch.setattr("writer_cli.sandbox.server.CLOSE_TIMEOUT", 0.1)
    with connect(serve()) as connection:
        connection.sendall(REQUEST.encode() + b"Content-Length: many\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_without_end(connection)


@pytest.mark.parametrize("stream", [True, False])
def test_http_1_0_is_answered_without_chunks(
    serve: Callable[..., SandboxServer], stream: bool
) -> None:
    """A client of HTTP/1.0 gets the body without chunked encoding."""
    server = serve()
    sent = post("sandbox", stream=stream).replace(b"HTTP/1.1", b"HTTP/1.0")
    status, headers, body = parsed(exchange(server, sent))
    assert status == 200
    assert "transfer-encoding" not in headers
    if stream:
        assert body.startswith(b'data: {"value":""}\n\n')
        assert body.endswith(b"data: [DONE]\n\n")
    else:
        assert len(body) == int(headers["content-length"])


def test_head_is_refused_without_a_body(serve: Callable[..., SandboxServer]) -> None:
    """HEAD is refused with 405 like other methods, and without a body."""
    sent = REQUEST.replace("GET", "HEAD") + "Connection: close\r\n\r\n"
    status, _, body = parsed(exchange(serve(), sent))
    assert (status, body) == (405, b"")


def test_requests_follow_one_another_on_a_connection(
    serve: Callable[..., SandboxServer],
) -> None:
    """A connection is kept alive, and each answer is complete before the next begins."""
    answer = exchange(serve(), (REQUEST + "\r\n") * 2 + REQUEST + "Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_a_stalled_request_is_given_up(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server closes a connection whose head or body does not come."""
    monkeypatch.setattr("writer_cli.sandbox.server._Handler.timeout", 0.05)
    server = serve()
    assert exchange(server, "GET /v1") == b""
    assert exchange(server, post("sandbox", length=1000)) == b""


def test_a_client_that_disconnects_affects_no_other(
    serve: Callable[..., SandboxServer], capfd: pytest.CaptureFixture[str]
) -> None:
    """A client may close the connection at any moment without an effect on other clients."""
    server = serve()
    for sent in (post("sandbox", stream=True), post("fault-slow"), b"POST /v1/comp", b""):
        for _ in range(5):
            with connect(server) as connection:
                connection.sendall(sent)
    assert is_serving(server)
    server.close()
    assert capfd.readouterr() == ("", "")


def test_many_connections_are_served_at_once(serve: Callable[..., SandboxServer]) -> None:
    """A hundred silent connections do not delay the answers to fifty requests."""
    server = serve()
    idle = [connect(server) for _ in range(100)]
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(exchange(server, post("sandbox"))))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len({parsed(answer)[2] for answer in answers}) == 1
    assert len(answers) == 50
    server.close()
    assert [read_all(connection) for connection in idle] == [b""] * 100
    for connection in idle:
        connection.close()


def test_closing_twice_is_closing_once(serve: Callable[..., SandboxServer]) -> None:
    """`close` may be called twice; afterwards nothing listens on the port."""
    server = serve()
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"prompt": ""}, "prompt: required"),
        ({"maxTokens": 1.5}, "maxTokens: not an integer"),
        ({"topP": 3}, "topP: 3 is not in the range 0 to 1"),
        ({"minTokens": 9, "maxTokens": 8}, "minTokens: more than maxTokens"),
        ({"n": 3, "bestOf": 2}, "bestOf: less than n"),
        ({"stop": ["a", ""]}, "stop: a stop sequence is empty"),
        ({"stop": ["a"] * 257}, "stop: more than 256 stop sequences"),
        ({"logprobs": 101}, "logprobs: 101 is not in the range 0 to 100"),
        ({"n": 64, "minTokens": 300}, "minTokens: more than 16384 tokens in all"),
        (["prompt"], "the body is not a JSON object"),
    ],
)
def test_a_field_that_is_refused_is_named(
    serve: Callable[..., SandboxServer], fields: Any, description: str
) -> None:
    """A field with an invalid or a too expensive value is named in the refusal."""
    body = json.dumps({"prompt": "The"} | fields if isinstance(fields, dict) else fields)
    sent = (
        "POST /llm/organization/1/model/m/completions HTTP/1.1\r\nConnection: close\r\n"
        f"Authorization: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    status, _, answer = parsed(exchange(serve(), sent))
    assert (status, json.loads(answer)["errors"][0]["description"]) == (400, description)
