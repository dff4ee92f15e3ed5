"""`writer sandbox`: the process, the server, and those who mean it ill."""

import errno
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import writer_cli as writer
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import LARGEST_BODY, SandboxServer

PATIENCE = 60
"""Seconds after which a test gives up on what should come at once."""

KEY = "k-made-up-0123456789"
REQUEST = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[..., SandboxServer]]:
    """Return a function that starts a server; the servers are closed at the end."""
    servers: list[SandboxServer] = []

    def start(sandbox: Sandbox | None = None, **options: Any) -> SandboxServer:
        servers.append(SandboxServer(sandbox or Sandbox(), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def connect(server: SandboxServer) -> socket.socket:
    """Open a connection."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


def exchange(server: SandboxServer, sent: bytes | str) -> bytes:
    """Send bytes and return what comes until the server closes."""
    with connect(server) as connection:
        connection.sendall(sent.encode() if isinstance(sent, str) else sent)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the end, in good order or not."""
    return read_until_end(connection)[0]


def read_until_end(connection: socket.socket) -> tuple[bytes, bool]:
    """Return what comes, and whether the connection was reset after it."""
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except ConnectionResetError:
        return came, True
    return came, False


def send_without_end(connection: socket.socket) -> None:
    """Send a byte now and then until it fails, or a test's patience is over."""
    for _ in range(PATIENCE * 100):
        connection.sendall(b"x")
        time.sleep(0.01)


def post(model: str, *, stream: bool = False, prompt: str = "The", length: int = 0) -> bytes:
    """Write a completion request of the studio API."""
    fields = {"model": model, "prompt": prompt, "max_tokens": 20, "stream": stream}
    body = json.dumps(fields).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers by name in lower case, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, body


def is_well(server: SandboxServer) -> bool:
    """Whether the server answers."""
    status, _, _ = parsed(exchange(server, REQUEST + "Connection: close\r\n\r\n"))
    return status == 200


class Process:
    """A real `writer sandbox`."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "writer_cli", "sandbox", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE)[0]
        self.first_line = self._process.stdout.readline()

    def error_line(self) -> str:
        """Return the next line of standard error, without its end."""
        assert self._process.stderr is not None
        return self._process.stderr.readline().rstrip("\n")

    def stop(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what else was written."""
        self._process.send_signal(number)
        output, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_prints_its_address_serves_and_stops_cleanly(number: int) -> None:
    """The address on standard output, two lines to copy on the other, and 0 for either signal.

    A request that hangs does not keep it.
    """
    process = Process()
    url = process.first_line.rstrip("\n")
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as hanging:
        hanging.sendall(post("fault-slow"))
        with writer.Writer("made-up", 1, base_url=url, max_retries=0) as client:
            assert [model.id for model in client.models.list()]
        export, command = process.error_line(), process.error_line()
        assert process.stop(number) == (0, "", "")
        assert read_all(hanging) == b""
    key = "the-sandbox-needs-none"
    assert export == (f"export WRITER_BASE_URL={url} WRITER_API_KEY={key} WRITER_ORGANIZATION_ID=1")
    assert command == 'writer complete -m palmyra-x5 "Once upon a time"'


def test_the_two_lines_work_when_they_are_copied() -> None:
    """A shell that has run them has a completion."""
    process = Process("--seed", "3")
    url = process.first_line.rstrip("\n")
    variables = {
        "WRITER_BASE_URL": url,
        "WRITER_API_KEY": "sandbox",
        "WRITER_ORGANIZATION_ID": "1",
    }
    terminal = Terminal.fake(env=variables)
    code = main(["complete", "-m", "palmyra-x5", "Once upon a time"], terminal)
    assert process.stop(signal.SIGTERM)[0] == 0
    assert (code, terminal.errors) == (0, "")
    assert terminal.output.strip()


def test_a_script_gets_the_address_as_json_and_nothing_else() -> None:
    """`--json --quiet` is one object: the version, the addresses, the process."""
    process = Process("--json", "--quiet", "--host", "localhost")
    url = json.loads(process.first_line)["url"]
    with writer.Writer("made-up", 1, base_url=url, api="studio") as client:
        assert client.models.list()
    code, output, errors = process.stop(signal.SIGINT)
    assert (code, output, errors) == (0, "", "")
    ready = json.loads(process.first_line)
    assert ready.keys() == {"version", "url", "openai_url", "pid"}
    assert ready["version"] == 1
    assert ready["openai_url"] == f"{ready['url']}/openai"
    assert ready["pid"] != os.getpid()
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", ready["url"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "99999"], "--port 99999 is out of range: 0 to 65535"),
        (["--port", "-1"], "--port -1 is out of range: 0 to 65535"),
        (["--fault-rate", "2"], "--fault-rate 2 is out of range: 0 to 1"),
        (["--fault-rate", "nan"], "--fault-rate nan is out of range: 0 to 1"),
        (["--latency", "-1"], "--latency -1 is out of range: 0 to 1000000"),
        (["--latency", "1e300"], "--latency 1e+300 is out of range: 0 to 1000000"),
        (["--rpm", "0"], "--rpm 0 is out of range: 0.001 to 1e+09"),
        (["--rpm", "5e-324"], "--rpm 4.94066e-324 is out of range: 0.001 to 1e+09"),
        (["--base-url", "http://x"], "--base-url and --api are for clients of the sandbox"),
        (["--api", "studio"], "--base-url and --api are for clients of the sandbox"),
        (["--log", "/"], "--log /: Is a directory"),
        (["--log", "/no/such/place"], "--log /no/such/place: No such file or directory"),
    ],
)
def test_what_cannot_be_right_is_a_usage_error(flags: list[str], message: str) -> None:
    """It names the flag and what is allowed, and nothing listens."""
    terminal = Terminal.fake()
    assert main(["sandbox", *flags], terminal) == 2
    assert terminal.output == b""
    assert terminal.errors.startswith(f"error: {message}\nhint: ")


@pytest.mark.parametrize("host", ["127.0.0.1:80:80", "a..b", "256.256.256.256", "\u00e4" * 70])
def test_an_address_that_is_none_is_a_usage_error(host: str) -> None:
    """However it fails to be one."""
    terminal = Terminal.fake()
    assert main(["sandbox", "--host", host], terminal) == 2
    assert terminal.errors.startswith(f"error: --host {host} --port 0 cannot be listened on: ")


def test_a_port_in_use_is_a_usage_error(serve: Callable[..., SandboxServer]) -> None:
    """The message names the port, the hint another way."""
    port = serve().url.rpartition(":")[2]
    terminal = Terminal.fake()
    assert main(["sandbox", "--port", port], terminal) == 2
    assert re.fullmatch(
        rf"error: --host 127\.0\.0\.1 --port {port} cannot be listened on: .*in use\n"
        r"hint: --port 0 lets the system choose\n",
        terminal.errors,
    )


def test_it_listens_beyond_loopback_only_when_told(serve: Callable[..., SandboxServer]) -> None:
    """Two servers cannot have a port on all addresses, but the default is only on one."""
    port = int(serve().url.rpartition(":")[2])
    # The tests' guard against other machines does not know this second address of this one.
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) == errno.ECONNREFUSED
    everywhere = serve(host="0.0.0.0")  # noqa: S104 - that is what is tested
    port = int(everywhere.url.rpartition(":")[2])
    # The address that is printed is one that a client can use, and may send a key to.
    assert everywhere.url == f"http://127.0.0.1:{port}"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6_is_spoken(serve: Callable[..., SandboxServer], host: str) -> None:
    """The address has its brackets."""
    try:
        server = serve(host=host)
    except writer.UsageError:
        pytest.skip("IPv6 is switched off here")
    assert re.fullmatch(r"http://\[::1\]:[0-9]+", server.url)
    assert is_well(server)


def test_both_apis_and_their_streams_are_served(serve: Callable[..., SandboxServer]) -> None:
    """Through the library, as a program would use it."""
    url = serve().url
    request = writer.CompletionRequest(prompt="The", max_tokens=9)
    for api in ("enterprise", "studio"):
        with writer.Writer("made-up", 1, api=cast("Any", api), base_url=url) as client:
            whole = client.completions.create(completion_request=request, model_id="m")
            with client.completions.stream(completion_request=request, model_id="m") as stream:
                chunks = [chunk.text for chunk in stream]
            assert whole.completion_response is not None
            assert "".join(chunks) == whole.completion_response.choices[0].text
            assert len(chunks) > 1


def test_cut_resets_the_connection_in_the_middle_of_a_body(
    serve: Callable[..., SandboxServer],
) -> None:
    """Plain or as a stream: what is announced does not come."""
    server = serve()
    whole = parsed(exchange(server, post("sandbox")))[2]
    for stream in (False, True):
        with connect(server) as connection:
            connection.sendall(post("fault-cut", stream=stream))
            came, is_reset = read_until_end(connection)
        _, headers, body = parsed(came)
        assert is_reset
        assert body
        if stream:
            assert not body.endswith(b"0\r\n\r\n")
        else:
            assert len(body) < int(headers["content-length"]) <= len(whole)


def test_slow_says_nothing_while_the_client_waits(serve: Callable[..., SandboxServer]) -> None:
    """Not a byte comes before the client's timeout."""
    with connect(serve()) as connection:
        connection.sendall(post("fault-slow"))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_slow_answers_the_client_that_outlasts_it(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits ten minutes, so the time is shortened here."""
    monkeypatch.setattr("writer_cli.sandbox.server.LATE", 0.05)
    assert parsed(exchange(serve(), post("fault-slow")))[0] == 200


def test_the_rate_is_limited(serve: Callable[..., SandboxServer]) -> None:
    """Past the limit it is 429, with the seconds after which it is worth another request."""
    now = 0.0
    server = serve(Sandbox(rpm=60, clock=lambda: now))
    answers = [parsed(exchange(server, post("sandbox"))) for _ in range(11)]
    assert [status for status, _, _ in answers] == [200] * 10 + [429]
    _, headers, body = answers[-1]
    assert headers["retry-after"] == "1"
    assert headers["action-id"].startswith("sandbox-")
    assert json.loads(body)["errors"][0]["key"] == "fail.tooManyRequests.quotaExceeded"
    now += int(headers["retry-after"])
    assert parsed(exchange(server, post("sandbox")))[0] == 200


def test_latency_comes_before_each_answer(serve: Callable[..., SandboxServer]) -> None:
    """And `close` does not wait for it."""
    server = serve(latency=0.2)
    started = time.monotonic()
    assert is_well(server)
    assert time.monotonic() - started >= 0.2
    server.latency = 1000.0
    with connect(server) as connection:
        connection.sendall(REQUEST.encode() + b"\r\n")
        server.close()
        read_all(connection)
    assert time.monotonic() - started < PATIENCE


def test_a_part_of_the_requests_fails_as_the_seed_decides(
    serve: Callable[..., SandboxServer],
) -> None:
    """The same seed, the same failures; no model list fails."""

    def lengths(seed: int) -> list[tuple[int, int]]:
        server = serve(Sandbox(fault_rate=0.5, seed=seed))
        assert all(is_well(server) for _ in range(20))
        answers = [exchange(server, post("sandbox")) for _ in range(20)]
        return [(parsed(answer)[0], len(parsed(answer)[2])) for answer in answers]

    once = lengths(1)
    assert once == lengths(1) != lengths(2)
    assert {200, 429, 500, 502} <= {status for status, _ in once}


def test_the_log_has_each_request_and_answer_without_the_key(
    serve: Callable[..., SandboxServer], tmp_path: Path
) -> None:
    """JSON lines, added to what is there; the key is in none of them, wherever it stood."""
    log = tmp_path / "log"
    log.write_text('{"earlier": true}\n')
    server = serve(log=log)
    exchange(server, post("fault-cut", prompt=f"my key is {KEY}"))
    exchange(server, f"GET /{KEY} HTTP/1.1\r\nAuthorization: {KEY}\r\nConnection: close\r\n\r\n")
    exchange(server, "GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
    server.close()
    text = log.read_text()
    assert KEY not in text
    earlier, cut, wrong, anonymous = [json.loads(line) for line in text.splitlines()]
    assert earlier == {"earlier": True}
    assert cut.keys() == {
        "time",
        "method",
        "path",
        "authorization",
        "request",
        "status",
        "action_id",
        "response",
        "cut",
        "late",
    }
    assert (cut["status"], cut["cut"], cut["authorization"]) == (200, True, "[redacted]")
    assert json.loads(cut["request"])["prompt"] == "my key is [redacted]"
    assert (wrong["path"], wrong["status"]) == ("/[redacted]", 404)
    assert (anonymous["status"], anonymous["authorization"]) == (401, None)
    assert json.loads(anonymous["response"])["errors"][0]["description"] == (
        "no Authorization header"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_that_cannot_be_written_is_not_silent(serve: Callable[..., SandboxServer]) -> None:
    """The request whose line is lost is told so, and closing still works."""
    server = serve(log=Path("/dev/full"))
    status, headers, body = parsed(exchange(server, post("sandbox")))
    assert (status, json.loads(body)["errors"][0]["description"]) == (
        500,
        "--log: No space left on device",
    )
    assert headers["action-id"].startswith("sandbox-")


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
    """With a `FailResponse` and an Action-Id; the server says nothing of it, and goes on."""
    server = serve()
    sent, expected = BAD_REQUESTS[name]
    status, headers, body = parsed(exchange(server, sent))
    document = json.loads(body)
    assert status == expected
    assert document.keys() == {"tpe", "errors", "extras"}
    assert document["errors"][0]["description"]
    assert re.fullmatch("sandbox-[0-9a-f]{16}", headers["action-id"])
    assert headers["content-type"] == "application/json"
    assert is_well(server)
    assert capfd.readouterr() == ("", "")


def test_a_body_that_ends_early_is_refused(serve: Callable[..., SandboxServer]) -> None:
    """Even where what came of it would be a request."""
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
    """It would be lost if the server closed with unread bytes."""
    server = serve()
    head = REQUEST.replace("GET", "POST").encode() + b"Content-Length: 99999999999\r\n\r\n"
    status, _, body = parsed(exchange(server, head + b"x" * 3_000_000))
    assert (status, json.loads(body)["errors"][0]["description"]) == (
        413,
        "the body is larger than 64 MiB",
    )


def test_a_client_that_never_stops_sending_is_left(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refused client is listened to for a moment, and no longer."""
    monkeypatch.setattr("writer_cli.sandbox.server.PATIENCE", 0.1)
    with connect(serve()) as connection:
        connection.sendall(REQUEST.encode() + b"Content-Length: many\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_without_end(connection)


@pytest.mark.parametrize("stream", [True, False])
def test_http_1_0_is_answered_without_chunks(
    serve: Callable[..., SandboxServer], stream: bool
) -> None:
    """A proxy that speaks no better gets the body as it is, up to the end of the connection."""
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


def test_head_has_no_body(serve: Callable[..., SandboxServer]) -> None:
    """It is refused as another method is, and without what would look like a second answer."""
    sent = REQUEST.replace("GET", "HEAD") + "Connection: close\r\n\r\n"
    status, _, body = parsed(exchange(serve(), sent))
    assert (status, body) == (405, b"")


def test_requests_follow_one_another_on_a_connection(
    serve: Callable[..., SandboxServer],
) -> None:
    """Kept alive, with each answer whole before the next."""
    answer = exchange(serve(), (REQUEST + "\r\n") * 2 + REQUEST + "Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_a_stalled_request_is_given_up(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the head or the body does not come."""
    monkeypatch.setattr("writer_cli.sandbox.server._Handler.timeout", 0.05)
    server = serve()
    assert exchange(server, "GET /v1") == b""
    assert exchange(server, post("sandbox", length=1000)) == b""


def test_a_client_that_leaves_disturbs_nobody(
    serve: Callable[..., SandboxServer], capfd: pytest.CaptureFixture[str]
) -> None:
    """In the middle of a stream, of a wait, of a request, or before it."""
    server = serve()
    for sent in (post("sandbox", stream=True), post("fault-slow"), b"POST /v1/comp", b""):
        for _ in range(5):
            with connect(server) as connection:
                connection.sendall(sent)
    assert is_well(server)
    server.close()
    assert capfd.readouterr() == ("", "")


def test_many_connections_are_served_at_once(serve: Callable[..., SandboxServer]) -> None:
    """A hundred that say nothing keep none of fifty that ask from their answers."""
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
    """And afterwards nobody listens."""
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
    """Whether it cannot be right, or asks for too much work."""
    body = json.dumps({"prompt": "The"} | fields if isinstance(fields, dict) else fields)
    sent = (
        "POST /llm/organization/1/model/m/completions HTTP/1.1\r\nConnection: close\r\n"
        f"Authorization: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    status, _, answer = parsed(exchange(serve(), sent))
    assert (status, json.loads(answer)["errors"][0]["description"]) == (400, description)
