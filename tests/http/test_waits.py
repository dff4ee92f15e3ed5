"""Waits before retries, in the library, on the command line and on a terminal."""

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream, texts
from tests.harness.program import WRITER, Ran, environment
from tests.harness.program import writer as run
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import (
    RESET,
    Received,
    Server,
    Step,
    completion,
    http,
)
from tests.http.times import KEY, QUICK
from writer_cli.errors import NetworkError
from writer_cli.http.retry import Wait


def test_waits_are_reported() -> None:
    """`on_wait` gets the failure, the length of the wait, and the number of the retry."""
    waits: list[Wait] = []
    scripts = [http(429, headers=QUICK), http(503, headers=QUICK), http(200, b'{"data":[]}')]
    with Server(*scripts) as server:
        s = writer.Writer(KEY, 1, base_url=server.url, max_retries=2, on_wait=waits.append)
        with s:
            assert s.models.list() == []
    assert [wait.retry for wait in waits] == [1, 2]
    assert str(waits[0]) == "HTTP 429: trying again in 0.0 s (retry 1 of 2)"
    assert str(waits[1]) == "HTTP 503: trying again in 0.0 s (retry 2 of 2)"
    assert (
        str(Wait(NetworkError("down"), 59.6, 2, 2))
        == "network: trying again in 60 s (retry 2 of 2)"
    )
    assert str(Wait(waits[0].failure, 3.2, 1, 3)) == "HTTP 429: trying again in 3 s (retry 1 of 3)"


def test_a_customized_completion_counts_its_attempts() -> None:
    """A completion of a customization is retried like any other call."""
    with Server(http(500, headers=QUICK), completion("x")) as server:
        s = writer.Writer(KEY, 1, base_url=server.url)
        with s:
            response = s.completions.create_model_customization_completion(
                completion_request=writer.CompletionRequest(prompt="p"),
                model_id="m",
                customization_id="c",
            )
    assert response.attempts == 2
    assert [request.body for request in server.requests] == [b'{"prompt":"p"}'] * 2


def test_a_stream_is_tried_again_until_it_begins() -> None:
    """A stream is retried until it begins, and has the number of attempts."""
    with Server(http(503, headers=QUICK), http(429, headers=QUICK), texts("x")) as server:
        s = writer.Writer(KEY, 1, base_url=server.url)
        request = writer.CompletionRequest(prompt="p")
        with s, s.completions.stream(completion_request=request, model_id="m") as chunks:
            assert chunks.attempts == 3
            assert [chunk.text for chunk in chunks] == ["x"]
            assert chunks.response().attempts == 3


@pytest.mark.parametrize(
    "script",
    [
        [*texts("x")[:-1], RESET],
        stream(event("x"), event({"tpe": "ServiceUnavailable", "errors": []})),
        stream(whole=False),
    ],
)
def test_a_stream_that_has_begun_is_not_tried_again(script: list[Step]) -> None:
    """A stream is not retried after its first event, which the caller has seen."""
    with Server(script, texts("again")) as server:
        s = writer.Writer(KEY, 1, base_url=server.url)
        with s, pytest.raises(writer.WriterError) as caught:
            list(
                s.completions.stream(
                    completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
                )
            )
    assert caught.value.retryable is False
    assert len(server.requests) == 1


def ask(server: Server, *arguments: str, **terminal: Any) -> Ran:
    """Run `writer complete` against a server."""
    env = {"WRITER_API_KEY": KEY, "WRITER_ORGANIZATION_ID": "7", "WRITER_BASE_URL": server.url}
    return run("complete", "-m", "m", "p", *arguments, env=env, **terminal)


@pytest.mark.parametrize("flag", ["--stream", "--no-stream"])
def test_the_attempts_are_in_the_json(flag: str) -> None:
    """The JSON of a result and of an error has the number of attempts."""

    def answer(request: Received) -> Any:
        return texts("x") if request.target.endswith("/stream") else completion("x")

    with Server(http(500, headers=QUICK), answer) as server:
        assert json.loads(ask(server, "--json", flag).output)["attempts"] == 2
    with Server(http(500, headers=QUICK)) as server:
        ran = ask(server, "--json", flag, "--max-retries", "2")
    assert (ran.code, ran.output) == (7, "")
    error = json.loads(ran.errors)["error"]
    assert (error["attempts"], error["retryable"], len(server.requests)) == (3, True, 3)


@pytest.mark.parametrize(("flags", "requests"), [([], 4), (["--max-retries", "0"], 1)])
def test_three_retries_are_the_default_and_zero_is_allowed(flags: list[str], requests: int) -> None:
    """`--max-retries` works before and after the command, and 0 is accepted."""
    with Server(http(500, headers=QUICK)) as server:
        assert ask(server, *flags).code == 7
        env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        assert run(*flags, "complete", "-m", "m", "p", env=env).code == 7
    assert len(server.requests) == 2 * requests


def test_a_log_has_retries_only_with_verbose() -> None:
    """Without a terminal, retries are reported only with `--verbose`."""
    scripts = (http(429, headers=[("Retry-After", "0")]), completion("x"))
    with Server(*scripts) as server:
        assert ask(server) == Ran(0, "x\n", "")
    with Server(*scripts) as server:
        first, second = ask(server, "--verbose").errors.splitlines()
    assert first == "HTTP 429: trying again in 0.0 s (retry 1 of 3)"
    assert second.startswith("HTTP 200 in ")
    assert "attempts: 2" in second


def test_the_sandbox_fails_twice_on_demand() -> None:
    """`fault-flaky` fails with waits as from the API, so a short deadline ends it."""
    ran = run("complete", "--sandbox", "-m", "fault-flaky", "--deadline", "0.9", "--json", "p")
    assert ran.code == 7
    assert json.loads(ran.errors)["error"]["attempts"] == 1


@pytest.fixture
def waiting() -> Iterator[Server]:
    """Start a server that asks for a wait of a minute."""
    with Server(http(429, headers=[("Retry-After", "60")]), completion("x")) as server:
        yield server


def settings(server: Server) -> dict[str, str]:
    """Return the environment variables of a process that uses this server."""
    return {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}


def test_a_person_sees_the_wait_and_can_end_it(waiting: Server) -> None:
    """A terminal shows the wait, and Ctrl-C ends it at once and restores the terminal."""
    arguments = [WRITER, "complete", "-m", "m", "p"]
    with OnTerminal(arguments, env=settings(waiting)) as terminal:
        terminal.wait_for("HTTP 429: trying again in 60 s (retry 1 of 3)")
        terminal.type(b"\x03")
        assert terminal.wait() == -signal.SIGINT
        assert terminal.raw.count(b"\x1b[?25l") == terminal.raw.count(b"\x1b[?25h")
    assert len(waiting.requests) == 1


def test_an_interrupt_during_a_wait_ends_the_process(waiting: Server) -> None:
    """SIGINT ends the process without a message; a shell reports 130."""
    process = subprocess.Popen(
        [WRITER, "complete", "-m", "m", "p", "--verbose"],
        env=environment(settings(waiting)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == b"HTTP 429: trying again in 60 s (retry 1 of 3)\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
