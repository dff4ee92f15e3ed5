"""`writer complete --stream`, and a stream on a terminal."""

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
from tests.harness.program import WRITER, Process, Ran, environment, give_time_to_start_waiting
from tests.harness.program import writer as run
from tests.harness.schemas import check
from tests.harness.servers import (
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


def ask(server: Server, *arguments: str, **terminal: Any) -> Ran:
    """Run `writer complete` against a server."""
    env = env_for(server)
    return run("complete", "-m", "m", "p", "--max-retries", "0", *arguments, env=env, **terminal)


def env_for(server: Server) -> dict[str, str]:
    """Return the environment variables of a process that uses this server."""
    return {"WRITER_API_KEY": KEY, "WRITER_ORGANIZATION_ID": "7", "WRITER_BASE_URL": server.url}


def test_a_stream_in_a_pipe_is_the_text() -> None:
    """The text is unchanged and ends with a line break."""
    with Server(texts("a\x1b[31m", "", "b\u2028")) as server:
        assert ask(server, "--stream") == Ran(0, "a\x1b[31mb\u2028\n", "")
        assert ask(server, "--stream", "--no-newline") == Ran(0, "a\x1b[31mb\u2028", "")
    with Server(texts("a", "b\n")) as server:
        assert ask(server, "--stream") == Ran(0, "ab\n", "")


def test_a_stream_on_a_terminal_is_escaped() -> None:
    """Control characters are shown as symbols, unless `--raw` is set."""
    with Server(texts("a\x1b", "[31mb")) as server:
        assert ask(server, stdout_is_terminal=True) == Ran(0, "a\u241b[31mb\n", "")
        assert ask(server, "--raw", stdout_is_terminal=True) == Ran(0, "a\x1b[31mb\n", "")


def is_stream(request: Received) -> bool:
    """Whether a request asks for a stream."""
    return request.target.endswith("/stream")


def either(request: Received) -> Any:
    """Answer with or without streaming, as the request asks."""
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
    """A terminal gets a stream by default if the request allows it; flags change that."""
    arguments = [str(tmp_path / "out") if a == "OUT" else a for a in arguments]
    with Server(either) as server:
        ran = ask(server, *arguments, stdout_is_terminal=stdout_is_terminal)
    assert ran.code == 0
    assert [is_stream(request) for request in server.requests] == [streams]


def test_a_customization_is_quietly_not_streamed() -> None:
    """On a terminal a customization is completed without streaming."""
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
def test_a_request_that_cannot_be_streamed_is_a_usage_error(
    arguments: list[str], flag: str, more: list[str]
) -> None:
    """The error names the flag that excludes `--stream`."""
    ran = run(*arguments, "--stream", "--sandbox", "p", *more)
    assert (ran.code, ran.output) == (2, "")
    assert f"{flag}: a request with it cannot be streamed" in ran.errors
    assert "leave it out, or do without --stream" in ran.errors


def test_a_cut_stream_prints_the_text_so_far_and_an_error() -> None:
    """Only a terminal gets a line break between the text and the error."""
    with Server(stream(event("one "), event("two"), b"data: {")) as server:
        said = (
            "error: the stream ended in the middle of an event\n"
            "hint: the answer is incomplete: try again\n"
        )
        assert ask(server, "--stream") == Ran(9, "one two", said)
        assert ask(server, stdout_is_terminal=True) == Ran(9, "one two\n", said)


def test_a_cut_stream_in_json_has_the_text_so_far() -> None:
    """The JSON error has the text so far and the attempts, and there is no result."""
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
def test_the_error_of_a_stream_has_the_text_so_far(script: Script, kind: str, code: int) -> None:
    """The text so far is in the JSON error and in the exception."""
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


def test_a_deadline_in_the_middle_of_a_stream_keeps_the_text_so_far() -> None:
    """The JSON error has the text so far."""
    with Server([*texts("one ", "two")[:-1], HANG]) as server:
        ran = ask(server, "--stream", "--json", "--deadline", "1")
    assert ran.code == 8
    assert json.loads(ran.errors)["error"]["text"] == "one two"


def test_a_stream_in_json_is_one_object() -> None:
    """The JSON result is the same as without a stream."""
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
    """The old file stays until the stream is complete."""
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


def test_the_text_of_a_cut_stream_is_kept_beside_the_file(tmp_path: Path) -> None:
    """The text so far is in a `.partial` file, and the old file stays."""
    out = tmp_path / "out"
    out.write_text("old")
    with Server(stream(event("one "), event("two"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", str(out))
    assert (ran.code, ran.output) == (9, "")
    assert ran.errors.startswith(f"warning: the incomplete text is in {out}.partial\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "out": "old",
        "out.partial": "one two",
    }


def test_a_failure_before_any_text_leaves_no_part(tmp_path: Path) -> None:
    """Without any text no `.partial` file is written."""
    with Server(http(500)) as server:
        assert ask(server, "--stream", "-o", str(tmp_path / "out")).code == 7
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_cannot_be_kept_is_printed(tmp_path: Path) -> None:
    """If the `.partial` file cannot be written, the text goes to standard output."""
    (tmp_path / "out.partial").mkdir()
    with Server(stream(event("one"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", str(tmp_path / "out"))
    assert (ran.code, ran.output) == (9, "one")
    assert "warning" not in ran.errors


def test_a_part_for_a_device_is_printed() -> None:
    """For a device the text so far goes to standard output."""
    with Server(stream(event("one"), b"data: {")) as server:
        ran = ask(server, "--stream", "-o", "/dev/null")
    assert (ran.code, ran.output) == (9, "one")
    assert not Path("/dev/null.partial").exists()


PADDING = (b":" + b" " * 1000 + b"\n\n") * 32_000
"""More comments than two sockets can buffer: once sent, the bytes before them were read."""


@pytest.mark.parametrize(
    ("flags", "output", "kinds"), [([], "one ", []), (["--json"], "", ["interrupted"])]
)
def test_an_interrupted_stream_loses_nothing(
    flags: list[str], output: str, kinds: list[str]
) -> None:
    """The text so far is on standard output, or in the JSON error."""

    def script(_: Received) -> Iterator[Step]:
        yield from stream(event("one "), PADDING, whole=False)[:-1]
        os.kill(os.getpid(), signal.SIGINT)
        yield HANG

    with Server(script) as server:
        ran = ask(server, "--stream", *flags)
    errors = [check("error", line)["error"] for line in ran.errors.splitlines()]
    assert (ran.code, ran.output) == (130, output)
    assert [error["kind"] for error in errors] == kinds
    assert all((error["exit_code"], error["text"]) == (130, "one ") for error in errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_json_error_of_a_signal_has_the_text_so_far(number: signal.Signals) -> None:
    """The text so far is in the JSON error, and the process still ends by the signal."""
    has_come = threading.Event()

    def script(_: Received) -> Iterator[Step]:
        yield from stream(event("one "), PADDING, whole=False)[:-1]
        has_come.set()
        yield HANG

    with (
        Server(script) as server,
        Process(
            [WRITER, "complete", "-m", "m", "--json", "--stream", "p"],
            env=environment(env_for(server)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert has_come.wait(30)
        give_time_to_start_waiting()
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
    """If the device is full, the text goes to standard output, escaped on a terminal."""
    with Server(texts("a\x1b", "[31mb")) as server:
        for is_terminal, text in ((False, "a\x1b[31mb\n"), (True, "a\u241b[31mb\n")):
            ran = ask(server, "--stream", "-o", "/dev/full", stdout_is_terminal=is_terminal)
            assert (ran.code, ran.output) == (11, text)
            assert "the text went to standard output instead" in ran.errors


def test_verbose_prints_the_details_of_a_stream() -> None:
    """`--verbose` writes the details of a stream to standard error."""
    with Server(texts("x")) as server:
        ran = ask(server, "--stream", "--verbose")
    assert (ran.code, ran.output) == (0, "x\n")
    assert re.fullmatch(
        r"HTTP 200 in \d\.\d{3} s, attempts: 1, Action-Id: None, "
        rf"Writer\({re.escape(server.url)}, organization_id=7\)\n",
        ran.errors,
    )


def test_the_sandbox_streams_the_text_that_it_gives_whole() -> None:
    """In both dialects a stream has the text of the completion without one."""
    for api in ("enterprise", "studio"):
        arguments = ["complete", "--sandbox", "--api", api, "Once upon a time"]
        whole, streamed = (run(*arguments, flag) for flag in ("--no-stream", "--stream"))
        assert whole.code == 0
        assert whole == streamed


def test_the_sandbox_cuts_a_stream_on_demand() -> None:
    """`fault-cut` cuts a stream, so that a script can be tested."""
    ran = run("complete", "--sandbox", "-m", "fault-cut", "--stream", "Once upon a time")
    assert ran.code == 9
    assert ran.output
    assert "was cut short" in ran.errors
