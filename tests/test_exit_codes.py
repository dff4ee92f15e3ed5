import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.program import ERROR_KEYS, Ran, shell, writer
from tests.harness.servers import CLOSE, KEY, Held, Script, Server, completion, failure, http
from writer_cli.exits import ExitCode

STORY = "Once upon a time"


class Unreadable(Mapping[str, str]):
    """An environment that raises an unexpected error when one variable is read."""

    def __init__(self, name: str, variables: Mapping[str, str]) -> None:
        self._name = name
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        if name == self._name:
            raise RuntimeError(f"{name} and {KEY}")
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def failing(*answers: Script, arguments: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
    """Return the exit code, the error for a person, and the JSON error of one failure."""
    with Server(*answers) as server:
        ran = writer("complete", *arguments, STORY, env=server.env)
        as_json = writer("complete", *arguments, "--json", STORY, env=server.env)
    assert (ran.output, as_json.output) == ("", "")
    assert as_json.code == ran.code
    assert as_json.errors.count("\n") == 1
    error = json.loads(as_json.errors)["error"]
    assert list(error) == ERROR_KEYS
    assert error["exit_code"] == ran.code
    assert KEY not in ran.errors + as_json.errors
    return ran.code, ran.errors, error


def test_every_exit_code_has_a_reason() -> None:
    """Exit codes never change, since scripts use them, and each has a description."""
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "CONFIGURATION": 3,
        "DENIED": 4,
        "REFUSED": 5,
        "LIMITED": 6,
        "SERVER": 7,
        "NETWORK": 8,
        "BAD_ANSWER": 9,
        "PARTIAL": 10,
        "OUTPUT": 11,
        "NOT_RECORDED": 12,
        "HUNG_UP": 129,
        "INTERRUPTED": 130,
        "READER_GONE": 141,
        "TERMINATED": 143,
    }
    assert all(code.reason for code in ExitCode)


def test_a_completion_exits_with_0() -> None:
    """A process of its own exits with 0 and prints the text."""
    with Server(completion("a text")) as server:
        assert shell(f'writer complete "{STORY}"', env=server.env) == Ran(0, "a text\n", "")
        [request] = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", ["writer-cli", "python -m writer_cli"])
def test_the_program_has_more_than_one_name(name: str) -> None:
    """The program does the same under each of its names."""
    ran = shell(f'{name} complete --sandbox --max-tokens 4 "{STORY}"')
    assert ran == writer("complete", "--sandbox", "--max-tokens", "4", STORY)


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_bug_exits_with_1_and_shows_no_key(debug: str) -> None:
    """The error is one line, with a traceback only under WRITER_DEBUG, and without the key."""
    env = Unreadable("WRITER_SANDBOX", {"WRITER_API_KEY": KEY, "WRITER_DEBUG": debug})
    ran = writer("complete", STORY, env=env)
    assert (ran.code, ran.output) == (1, "")
    lines = ran.errors.splitlines()
    assert lines[-2:] == [
        "error: this is a bug in writer: RuntimeError: WRITER_SANDBOX and [redacted]",
        "hint: WRITER_DEBUG=1 shows where; please report it with that",
    ]
    assert ("Traceback (most recent call last):" in lines) == bool(debug)
    assert KEY not in ran.errors
    assert bool(debug) or len(lines) == 2

    as_json = writer("complete", "--json", STORY, env=env)
    assert as_json.code == 1
    error = json.loads(as_json.errors.splitlines()[-1])["error"]
    assert (error["kind"], error["exit_code"]) == ("bug", 1)


@pytest.mark.parametrize("prefix", ["", "Bearer "])
@pytest.mark.parametrize("place", ["variable", "file", "profile"])
def test_a_bug_shows_no_key_from_any_source(place: str, prefix: str, tmp_path: Path) -> None:
    """The key is redacted whether it comes from a variable, the file or a profile."""
    config = tmp_path / "config.toml"
    tables = {"variable": "", "file": "{}", "profile": "[profiles.p]\n{}\n[profiles.q]"}
    config.write_text(tables[place].format(f"api_key = '{prefix}{KEY}'"))
    config.chmod(0o600)
    env = {"WRITER_CONFIG": str(config), "WRITER_DEBUG": "1", "WRITER_MODEL_ID": "m"}
    env |= {"WRITER_API_KEY": prefix + KEY} if place == "variable" else {}
    env |= {"WRITER_PROFILE": "p"} if place == "profile" else {}
    ran = writer("complete", STORY, env=Unreadable("WRITER_ORGANIZATION_ID", env))
    assert (ran.code, ran.output) == (1, "")
    assert "RuntimeError: WRITER_ORGANIZATION_ID and [redacted]\n" in ran.errors
    assert KEY not in ran.errors


def test_a_wrong_flag_exits_with_2() -> None:
    """A value out of range is an error before anything is sent."""
    code, lines, error = failing(completion("x"), arguments=("--max-tokens", "0"))
    assert (code, error["kind"], error["retryable"]) == (2, "usage", False)
    assert lines.startswith("error: --max-tokens 0 is out of range: 1 or more\nhint: ")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("WRITER_API_KEY", "no API key"),
        ("WRITER_ORGANIZATION_ID", "no organization"),
    ],
)
def test_a_missing_setting_exits_with_3(missing: str, message: str) -> None:
    """An empty variable, as of a missing secret in CI, is an error before anything is sent."""
    with Server(completion("never sent")) as server:
        ran = writer("complete", STORY, env=server.env | {missing: ""})
        assert server.requests == []
    assert (ran.code, ran.output) == (3, "")
    assert ran.errors.startswith(f"error: {message}\nhint: ")


def test_a_switch_that_is_neither_on_nor_off_exits_with_3() -> None:
    """A mistyped WRITER_SANDBOX is an error, so that the prompt is not sent to the API."""
    assert writer("complete", STORY, env={"WRITER_SANDBOX": "ture"}) == Ran(
        3,
        "",
        "error: WRITER_SANDBOX: 'ture' is neither yes nor no\nhint: WRITER_SANDBOX=1 or unset it\n",
    )


def test_a_directory_as_configuration_file_exits_with_3(tmp_path: Path) -> None:
    """A directory in the place of the configuration file is an error."""
    ran = writer("complete", STORY, env={"WRITER_CONFIG": str(tmp_path)})
    assert (ran.code, ran.output) == (3, "")
    assert ran.errors.startswith(f"error: {tmp_path}: Is a directory\nhint: ")


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (401, 4, "authentication", False),
        (403, 4, "permission", False),
        (400, 5, "refused", False),
        (404, 5, "not_found", False),
        (413, 5, "refused", False),
        (429, 6, "rate_limit", True),
        (500, 7, "server", True),
        (503, 7, "server", True),
        (599, 7, "server", True),
    ],
)
def test_a_refusal_of_the_api_has_the_code_of_its_status(
    status: int, code: int, kind: str, *, retryable: bool
) -> None:
    """The exit code follows the status; text and JSON have the API's message."""
    message = {"description": "because", "key": "fail.key", "extras": {"a": 1}}
    exited, lines, error = failing(failure(status, message, tpe="Tpe"))
    assert exited == code
    first, second, third = lines.splitlines()
    assert first == "error: because (fail.key)"
    assert second == f"       HTTP {status} · tpe Tpe · Action-Id action-1"
    assert third == f"hint: {error['hint']}"
    assert error == {
        "kind": kind,
        "exit_code": code,
        "message": "because",
        "status_code": status,
        "tpe": "Tpe",
        "errors": [message],
        "action_id": "action-1",
        "retryable": retryable,
        "attempts": error["attempts"],
        "hint": error["hint"],
    }


def test_a_used_up_quota_exits_with_6_and_is_not_retryable() -> None:
    """A used-up quota is 429 like a rate limit, but its kind is `quota`."""
    message = {"description": "used up", "key": "fail.model.quotaExceeded"}
    code, _, error = failing(failure(429, message))
    assert (code, error["kind"], error["retryable"]) == (6, "quota", False)


def test_a_gateways_page_exits_with_7() -> None:
    """The error quotes the text of a gateway's HTML page."""
    page = b"<html><head><title>x</title></head><body><h1>Bad Gateway</h1></body></html>"
    code, lines, error = failing(http(502, page, "text/html"))
    assert (code, error["kind"], error["tpe"], error["errors"]) == (7, "server", None, [])
    assert lines.startswith("error: HTTP 502 Bad Gateway: Bad Gateway\n       HTTP 502 · Action-Id")


def test_no_answer_exits_with_8() -> None:
    """A refused or closed connection is a network error."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, lines, error = failing(
        completion("never sent"), arguments=("--base-url", f"http://127.0.0.1:{port}")
    )
    assert (code, error["kind"], error["retryable"]) == (8, "network", True)
    assert lines.startswith(f"error: no answer from 127.0.0.1:{port}: ")
    assert failing([CLOSE])[0] == 8


def test_an_answer_that_does_not_come_in_time_exits_with_8() -> None:
    """An answer that takes longer than `--timeout` is a timeout error."""
    with Server(held := Held(completion("late"))) as server:
        ran = writer("complete", "--json", "--timeout", "0.2", STORY, env=server.env)
        assert held.arrived.wait(60)
    assert ran.code == 8
    assert json.loads(ran.errors)["error"]["kind"] == "timeout"


NONSENSE = b"nonsense\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"not json"),
        http(200, [1]),
        http(200, {"choices": []}),
        http(200, {}),
        http(200, {"choices": [{"txt": "x"}]}),
        http(200, {"choices": ["text"]}),
        http(200, {"choices": {"text": "x"}}),
        http(200, {"choices": [{"text": 1}]}),
        http(200, b"<html>login\x1b[2J</html>", "text/html"),
        http(200, b"{}", "application/json", headers=[("Content-Encoding", "gzip")]),
        http(302, b"", headers=[("Location", "https://elsewhere.example/")]),
        [completion("cut short")[:-5], CLOSE],
        NONSENSE,
    ],
)
def test_an_invalid_answer_exits_with_9(answer: Script) -> None:
    """An invalid answer causes one error, no output, no traceback and no escape sequence."""
    code, lines, error = failing(answer)
    # Bytes that do not begin as HTTP are no answer.
    assert code == (8 if answer == NONSENSE else 9)
    assert error["kind"] == (
        "network" if code == 8 else "cut" if "cut short" in lines else "bad_answer"
    )
    assert lines.startswith("error: ")
    assert "bug" not in lines
    assert "\x1b" not in lines


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("writer complete --dry-run --sandbox x >&-", "standard output is closed"),
        ("writer models --sandbox >/dev/full", "standard output: No space left on device"),
        ("writer --help >/dev/full", "standard output: No space left on device"),
        ("writer --version >&-", "standard output is closed"),
    ],
)
def test_a_result_that_cannot_be_written_exits_with_11(script: str, message: str) -> None:
    """The error is printed once, without a second message from Python."""
    assert shell(script) == Ran(11, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("writer complete x >/dev/full", "standard output: No space left on device"),
        ("writer complete --stream x >/dev/full", "standard output: No space left on device"),
        ("writer complete x >&-", "standard output is closed"),
        ("writer complete -o /dev/full x >&-", "--output: /dev/full: No space left on device"),
    ],
)
def test_a_text_that_cannot_be_written_goes_to_standard_error(script: str, reason: str) -> None:
    """A text that cannot be written to standard output goes to standard error."""
    env = {"WRITER_SANDBOX": "1"}
    text = shell("writer complete x", env=env).output
    hint = "the text went to standard error instead"
    assert shell(script, env=env) == Ran(11, "", f"{text}error: {reason}\nhint: {hint}\n")


def test_a_result_that_cannot_be_written_is_an_error_in_json_too() -> None:
    """The JSON error on standard error contains the result."""
    script = "writer complete --sandbox --json x"
    ran = shell(f"{script} >/dev/full")
    error = json.loads(ran.errors)["error"]
    assert (ran.code, error["kind"]) == (11, "output")
    result = json.loads(error["text"])
    assert result["choices"] == json.loads(shell(script).output)["choices"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("writer complete 2>&- >/dev/full", 11),
        ("writer complete --max-tokens 0 2>&-", 2),
        ("writer complete --max-tokens 0 2>/dev/full", 2),
    ],
)
def test_an_exit_code_does_not_depend_on_standard_error(script: str, code: int) -> None:
    """The exit code is the same if standard error is closed or full."""
    assert shell(script, env={"WRITER_SANDBOX": "1"}, stdin=b"x") == Ran(code, "", "")


def test_quiet_hides_the_wait_before_a_retry() -> None:
    """With `--quiet` nothing is written about a retry."""
    later = http(503, {"tpe": "ServiceUnavailable"}, headers=[("Retry-After-Ms", "1")])
    with Server(later, completion("text")) as server:
        ran = writer("complete", "--quiet", STORY, env=server.env | {"WRITER_MAX_RETRIES": "1"})
    assert ran == Ran(0, "text\n", "")


def test_a_wait_is_a_line_on_a_terminal_only_with_verbose() -> None:
    """On a terminal a wait is a line with `--verbose`, else a part of the spinner."""
    later = http(503, {"tpe": "ServiceUnavailable"}, headers=[("Retry-After-Ms", "1")])
    with Server(later, completion("text")) as server:
        env = server.env | {"WRITER_MAX_RETRIES": "1", "TERM": "xterm"}
        ran = writer("complete", STORY, env=env, stderr_is_terminal=True)
    assert ran == Ran(0, "text\n", "")
    with Server(later, completion("text")) as server:
        env = server.env | {"WRITER_MAX_RETRIES": "1", "TERM": "xterm"}
        ran = writer("complete", "--verbose", STORY, env=env, stderr_is_terminal=True)
    assert (ran.code, ran.output) == (0, "text\n")
    assert ran.errors.startswith("HTTP 503: trying again in 0.0 s (retry 1 of 1)\n")
    assert "attempts: 2" in ran.errors
