"""`writer sandbox`: the process, its flags and its answers."""

import errno
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import writer_cli as writer
from tests.sandbox.serving import (
    KEY,
    PATIENCE,
    REQUEST,
    connect,
    exchange,
    is_serving,
    parsed,
    post,
    read_all,
    read_until_end,
)
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer


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
        """Send a signal; return the exit code and the remaining output."""
        self._process.send_signal(number)
        output, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_prints_its_address_serves_and_stops_cleanly(number: int) -> None:
    """The address is on standard output, two lines to copy on standard error, the exit code 0.

    A request that hangs does not delay the end.
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
    key = "no-key-needed"
    assert export == (f"export WRITER_BASE_URL={url} WRITER_API_KEY={key} WRITER_ORGANIZATION_ID=1")
    assert command == 'writer complete -m palmyra-x5 "Once upon a time"'


def test_the_two_lines_work_when_they_are_copied() -> None:
    """With the variables of the two lines, `writer complete` gets a completion."""
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
    """`--json --quiet` prints one object with the version, the addresses and the process id."""
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
        (["--fault-rate", "nan"], "--fault-rate 'nan' is not a number"),
        (["--latency", "-1"], "--latency -1 is out of range: 0 to 1000000"),
        (["--latency", "1e300"], "--latency 1e+300 is out of range: 0 to 1000000"),
        (["--rpm", "0"], "--rpm 0 is out of range: 0.001 to 1e+09"),
        (["--rpm", "5e-324"], "--rpm 4.94066e-324 is out of range: 0.001 to 1e+09"),
        (["--base-url", "http://x"], "writer sandbox has no flag --base-url"),
        (["--api", "studio"], "writer sandbox has no flag --api"),
        (["--log", "/"], "--log /: Is a directory"),
        (["--log", "/no/such/place"], "--log /no/such/place: No such file or directory"),
    ],
)
def test_an_invalid_flag_is_a_usage_error(flags: list[str], message: str) -> None:
    """The error names the flag and its allowed values, and the server does not start."""
    terminal = Terminal.fake()
    assert main(["sandbox", *flags], terminal) == 2
    assert terminal.output == b""
    assert terminal.errors.startswith(f"error: {message}\nhint: ")


@pytest.mark.parametrize("host", ["127.0.0.1:80:80", "a..b", "256.256.256.256", "\u00e4" * 70])
def test_an_invalid_host_is_a_usage_error(host: str) -> None:
    """A host that is not an address of this machine is a usage error."""
    terminal = Terminal.fake()
    assert main(["sandbox", "--host", host], terminal) == 2
    assert terminal.errors.startswith(f"error: cannot listen on --host {host} --port 0: ")


def test_a_port_in_use_is_a_usage_error(serve: Callable[..., SandboxServer]) -> None:
    """The error names the port, and the hint another way."""
    port = serve().url.rpartition(":")[2]
    terminal = Terminal.fake()
    assert main(["sandbox", "--port", port], terminal) == 2
    assert re.fullmatch(
        rf"error: cannot listen on --host 127\.0\.0\.1 --port {port}: .*in use\n"
        r"hint: --port 0 lets the system choose\n",
        terminal.errors,
    )


def test_it_listens_beyond_loopback_only_when_told(serve: Callable[..., SandboxServer]) -> None:
    """By default the server listens on 127.0.0.1 only, with `--host 0.0.0.0` on all addresses."""
    port = int(serve().url.rpartition(":")[2])
    # The fixture that allows only loopback does not know this second loopback address.
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) == errno.ECONNREFUSED
    everywhere = serve(host="0.0.0.0")  # noqa: S104 - the test needs all addresses
    port = int(everywhere.url.rpartition(":")[2])
    # The printed address is one that a client can use and may send a key to.
    assert everywhere.url == f"http://127.0.0.1:{port}"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_it_listens_on_an_ipv6_address(serve: Callable[..., SandboxServer], host: str) -> None:
    """The server listens on an IPv6 address and prints it with brackets."""
    try:
        server = serve(host=host)
    except writer.UsageError:
        pytest.skip("IPv6 is switched off here")
    assert re.fullmatch(r"http://\[::1\]:[0-9]+", server.url)
    assert is_serving(server)


def test_both_apis_and_their_streams_are_served(serve: Callable[..., SandboxServer]) -> None:
    """The library gets completions and streams from the server in both dialects."""
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
    """`fault-cut` resets the connection within the body, with and without a stream."""
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
    """`fault-slow` sends no byte before the client's timeout."""
    with connect(serve()) as connection:
        connection.sendall(post("fault-slow"))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_slow_answers_a_client_that_waits_long_enough(
    serve: Callable[..., SandboxServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fault-slow` answers after its delay, which is shortened here."""
    monkeypatch.setattr("writer_cli.sandbox.server.LATE_DELAY", 0.05)
    assert parsed(exchange(serve(), post("fault-slow")))[0] == 200


def test_the_rate_is_limited(serve: Callable[..., SandboxServer]) -> None:
    """Above the rate limit the server sends 429 with the seconds to wait."""
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
    """`--latency` delays each answer, and `close` does not wait for it."""
    server = serve(latency=0.2)
    started = time.monotonic()
    assert is_serving(server)
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
    """The same seed gives the same failures; a list of models never fails."""

    def lengths(seed: int) -> list[tuple[int, int]]:
        server = serve(Sandbox(fault_rate=0.5, seed=seed))
        assert all(is_serving(server) for _ in range(20))
        answers = [exchange(server, post("sandbox")) for _ in range(20)]
        return [(parsed(answer)[0], len(parsed(answer)[2])) for answer in answers]

    once = lengths(1)
    assert once == lengths(1) != lengths(2)
    assert {200, 429, 500, 502} <= {status for status, _ in once}


def test_the_log_has_each_request_and_answer_without_the_key(
    serve: Callable[..., SandboxServer], tmp_path: Path
) -> None:
    """The log appends JSON lines, and the key is in none of them."""
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
def test_a_log_that_cannot_be_written_is_an_error(serve: Callable[..., SandboxServer]) -> None:
    """A request whose log line cannot be written gets 500 with the reason."""
    server = serve(log=Path("/dev/full"))
    status, headers, body = parsed(exchange(server, post("sandbox")))
    assert (status, json.loads(body)["errors"][0]["description"]) == (
        500,
        "--log: No space left on device",
    )
    assert headers["action-id"].startswith("sandbox-")
