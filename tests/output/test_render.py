import json
import threading
from typing import Any

import pytest

from tests.harness.emulator import without_styles
from tests.harness.program import Ran, writer
from tests.harness.servers import KEY, Server, failure, http
from writer_cli.output.spinner import Spinner
from writer_cli.output.terminal import Terminal

STORY = "Once upon a time"

REFUSED_HINT = "see exactly what was sent: repeat the command with --dry-run"


def refused(answer: bytes, **terminal: bool) -> Ran:
    """Return the output for an answer that is an error of the API."""
    with Server(answer) as server:
        ran = writer("complete", STORY, env=server.env, **terminal)  # type: ignore[arg-type]
    assert ran.output == ""
    return ran


def test_every_message_of_an_error_is_shown_with_its_key() -> None:
    """After the messages come the status, `tpe`, the Action-Id, and the hint."""
    answer = failure(
        400,
        {"description": "first", "key": "fail.one", "extras": None},
        {"description": "second"},
        {"description": "", "key": "fail.three"},
        {"description": "", "key": None},
        {"key": "fail.five"},
    )
    assert refused(answer) == Ran(
        5,
        "",
        "error: first (fail.one)\n"
        "error: second\n"
        "error:  (fail.three)\n"
        "error:  (fail.five)\n"
        "       HTTP 400 · tpe BadRequest · Action-Id action-1\n"
        f"hint: {REFUSED_HINT}\n",
    )


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (
            http(400, {"tpe": "", "errors": [], "extras": None}),
            ['error: HTTP 400 Bad Request: {"tpe": "", "errors": [], "extras": null}'],
        ),
        (http(400, {}), ["error: HTTP 400 Bad Request: {}"]),
        (http(418, b"", "text/plain"), ["error: HTTP 418 I'm a Teapot"]),
        (http(400, {"errors": "none"}), ['error: HTTP 400 Bad Request: {"errors": "none"}']),
        (failure(400, "text", 5, ["x"]), ["error: text", "error: 5", 'error: ["x"]']),  # type: ignore[arg-type]
        (failure(400, {"description": {"a": 1}, "key": 7}), ['error: {"a": 1} (7)']),
    ],
)
def test_an_error_in_no_known_shape_is_still_an_error(answer: bytes, lines: list[str]) -> None:
    """Values of an unexpected type in the place of messages are shown as they are."""
    ran = refused(answer)
    assert ran.code == 5
    assert [line for line in ran.errors.splitlines() if line.startswith("error")] == lines


def test_an_error_without_an_id_is_shown_without_one() -> None:
    """Without an Action-Id the details are the status alone."""
    answer = http(400, {"errors": [{"description": "no"}]}).replace(b"Action-Id", b"X-Id")
    assert refused(answer).errors == f"error: no\n       HTTP 400\nhint: {REFUSED_HINT}\n"


def test_at_most_twenty_messages_are_shown() -> None:
    """A person sees twenty messages and their number, and JSON has all of them."""
    answer = failure(400, *({"description": f"number {i}"} for i in range(1000)))
    lines = refused(answer).errors.splitlines()
    assert lines[:20] == [f"error: number {i}" for i in range(20)]
    assert lines[20] == "error: and 980 more: see them with --json"
    assert len(lines) == 23
    with Server(answer) as server:
        ran = writer("complete", "--json", STORY, env=server.env)
    assert len(json.loads(ran.errors)["error"]["errors"]) == 1000


ACTING = "\x1b]0;title\x07\x1b[2J\r\x9b1m\u202e\x7f [red]x[/red] [/y] :smile:"
SHOWN = "␛]0;title␇␛[2J␍<U+009B>1m<U+202E>␡ [red]x[/red] [/y] :smile:"


@pytest.mark.parametrize("stderr_is_terminal", [False, True])
def test_a_hostile_error_is_escaped_on_the_terminal(*, stderr_is_terminal: bool) -> None:
    """Control characters and markup in an error are shown as text, in a log and on a terminal."""
    answer = http(
        400,
        {"tpe": ACTING, "errors": [{"description": ACTING, "key": ACTING, "extras": ACTING}]},
    )
    errors = refused(answer, stderr_is_terminal=stderr_is_terminal).errors
    if stderr_is_terminal:
        errors = without_styles(errors)
    # On a terminal it is wrapped at words.
    lines = [f"error: {SHOWN} ({SHOWN})", f"HTTP 400 · tpe {SHOWN} · Action-Id action-1"]
    assert errors.split() == " ".join([*lines, f"hint: {REFUSED_HINT}"]).split()
    if not stderr_is_terminal:
        assert [line[:7] for line in errors.splitlines()] == ["error: ", " " * 7, "hint: s"]


@pytest.mark.parametrize("stderr_is_terminal", [False, True])
def test_no_error_looks_like_our_own_hint(*, stderr_is_terminal: bool) -> None:
    """The further lines of a server's message are indented, whatever its line ends."""
    said = "no\nhint: sh -c evil\r\n\nerror: x"
    answer = http(400, {"tpe": said, "errors": [{"description": said, "key": said}]})
    errors = refused(answer, stderr_is_terminal=stderr_is_terminal).errors
    if stderr_is_terminal:
        errors = without_styles(errors)
    lines = errors.splitlines()
    assert [line for line in lines if line.startswith("error:")] == ["error: no"]
    assert [line for line in lines if line.startswith("hint:")] == [f"hint: {REFUSED_HINT}"]
    assert lines[1] == "       hint: sh -c evil␍"


def test_a_hostile_error_in_json_has_no_raw_control_character() -> None:
    """Control characters are escaped in JSON, and a parser gives them back."""
    answer = failure(400, {"description": ACTING, "key": ACTING, "extras": {ACTING: ACTING}})
    with Server(answer) as server:
        ran = writer("complete", "--json", STORY, env=server.env)
    line = ran.errors.removesuffix("\n")
    assert line.isprintable()
    [message] = json.loads(line)["error"]["errors"]
    assert message == {"description": ACTING, "key": ACTING, "extras": {ACTING: ACTING}}


@pytest.mark.parametrize("flags", [[], ["--json"], ["--verbose"]])
def test_a_key_that_the_server_repeats_is_redacted(flags: list[str]) -> None:
    """The key, its tail and its hash are redacted anywhere in an error."""
    digest = "0123456789abcdef" * 4
    text = f"got {KEY}, that is ...{KEY[-4:]} with hash {digest}"
    answer = failure(401, {"description": text, "key": KEY, "extras": [KEY]}, tpe=KEY)
    with Server(answer) as server:
        ran = writer("complete", *flags, STORY, env=server.env)
    assert ran.code == 4
    assert "got [redacted], that is ...[redacted] with hash [redacted]" in ran.errors
    for secret in (KEY, f"...{KEY[-4:]}", digest):
        assert secret not in ran.errors


def test_settings_in_a_pipe_are_lines_of_four_fields() -> None:
    """`config list` is tab-separated in a pipe, and a list on a terminal."""
    env = {"WRITER_MODEL_ID": "m\x1b[2J", "WRITER_CONFIG": "tab\there"}
    piped = writer("config", "list", env=env)
    assert piped.code == 0
    assert {line.count("\t") for line in piped.output.splitlines()} == {3}
    drawn = writer("config", "list", env=env, stdout_is_terminal=True)
    assert "\t" not in drawn.output
    assert "m␛[2J" in drawn.output
    assert "\x1b[2J" not in drawn.output


class SlowTerminal:
    """A terminal that is ready to draw only after the answer has come."""

    stderr_can_draw = True

    def __init__(self) -> None:
        self.terminal = Terminal.fake(stderr_is_terminal=True)
        self.spinner: Spinner | None = None

    def console(self) -> Any:
        """Stop the spinner that wants to draw."""
        assert self.spinner is not None
        self.spinner.stop()
        return self.terminal.console()


def test_a_spinner_that_was_stopped_while_it_was_prepared_is_never_drawn() -> None:
    """A spinner that is stopped before it is ready writes nothing."""
    late: Any = SlowTerminal()
    late.spinner = Spinner(late, "waiting")
    for thread in threading.enumerate():
        if thread.name == "spinner":
            thread.join()
    assert late.terminal.errors == ""
