"""Text with escape sequences: from a model, a server, a file, a flag, a variable.

Each place is tried on a pseudo-terminal, with a harmless text and with a hostile one. The hostile
one may add no control character and no control sequence to what the terminal gets.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.events import event, stream
from tests.harness.screens import controls, run_on_terminal
from tests.harness.servers import Received, Script, Server, Step, http

ATTACKS = {
    "clear the screen": "\x1b[2J",
    "reset the terminal": "\x1bc",
    "another screen": "\x1b[?1049h",
    "report the cursor, as if typed": "\x1b[6n",
    "a colour": "\x1b[38;5;123m",
    "a link (OSC 8)": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "the clipboard (OSC 52)": "\x1b]52;c;ZXZpbA==\x07",
    "the title": "\x1b]0;evil\x07",
    "a device control string": "\x1bP$q\x1b\\",
    "a C1 control sequence": "\x9b2J",
    "a C1 command to the system": "\x9d0;evil\x9c",
    "a C1 line end": "\x85",
    "a carriage return": "seen\rover it",
    "backspaces": "seen\b\b\b\bover",
    "a bell": "\x07",
    "other line movements": "\x0b\x0c",
    "another character set": "\x0e\x0f",
    "delete": "\x7f",
    "NUL": "\x00",
    "an override of direction": "\u202egpj.exe",
    "an isolate of direction": "\u2066\u2069",
}
"""The escape sequence or control character of each effect."""

HOSTILE = " ".join(f"<{text}>" for text in ATTACKS.values())
HARMLESS = "harmless \u200b text"

WIDE = {"COLUMNS": "9999"}
"""Terminals that are so wide that no line is wrapped, which would add control sequences."""

SCREENS = {
    "in colour": {"TERM": "xterm-256color", "COLORTERM": "truecolor", **WIDE},
    "without colour": {"TERM": "xterm", "NO_COLOR": "1", **WIDE},
    "dumb": {"TERM": "dumb", **WIDE},
}


def quiet_flags(screen: str) -> list[str]:
    """Return the flag that disables the spinner, if the terminal could show one."""
    return [] if screen == "dumb" else ["--quiet"]


def in_pieces(*pieces: bytes) -> Script:
    """Return a stream with a chunk for each of these pieces."""
    return stream(*pieces)


def split_events(text: str) -> Script:
    """Return a stream with an event for each character of a text."""
    return in_pieces(*map(event, text))


def split_bytes(text: str) -> Script:
    """Return a stream of one event whose text is unescaped UTF-8, with a chunk for each byte."""
    escaped = json.dumps({"value": text}, ensure_ascii=False)
    return in_pieces(*(bytes([byte]) for byte in f"data: {escaped}\n\n".encode()))


def failing(text: str) -> bytes:
    """Return an error with this text in each field."""
    fail = {"tpe": text, "errors": [{"description": text, "key": text, "extras": text}]}
    return http(400, fail, headers=[("Action-Id", text.encode("latin-1", "ignore").hex())])


def completing(text: str) -> bytes:
    """Return a completion with this text in each field."""
    logprobs = {
        "tokens": [text, text],
        "tokenLogprobs": [-0.1, -9.0],
        "topLogprobs": [{text: -0.1}, {text: -2.0}],
    }
    choice = {"text": text, "finish_reason": text, "logprobs": logprobs}
    return http(200, {"choices": [choice, choice]})


ANSWERS: dict[str, tuple[Callable[[str], Script], list[str]]] = {
    "texts": (completing, ["complete", "p"]),
    "texts beside a note": (completing, ["complete", "p", "--verbose", "-n", "2"]),
    "tokens": (completing, ["complete", "p", "--logprobs", "2"]),
    "JSON": (completing, ["complete", "p", "--json"]),
    "a stream of characters": (split_events, ["complete", "p"]),
    "a stream of bytes": (split_bytes, ["complete", "p"]),
    "a stream as JSON": (split_events, ["complete", "p", "--stream", "--json"]),
    "an error": (failing, ["complete", "p"]),
    "an error as JSON": (failing, ["complete", "p", "--json"]),
    "an error of an engine": (
        lambda text: http(400, {"error": {"message": text, "type": text, "code": text}}),
        ["complete", "p"],
    ),
    "an error in a stream": (
        lambda text: in_pieces(event("x"), b"event: error\n" + event({"tpe": text})),
        ["complete", "p"],
    ),
    "a page": (lambda text: http(502, f"<p>{text}</p>".encode(), "text/html"), ["complete", "p"]),
    "no JSON": (lambda text: http(200, text.encode()), ["complete", "p"]),
    "a strange status": (lambda text: http(999, text.encode()), ["complete", "p"]),
    "an event that is none": (
        lambda text: in_pieces(event({"no": text})),
        ["complete", "p"],
    ),
    "a redirect": (
        lambda text: http(302, headers=[("Location", f"/{text.encode().hex()}\u009b")]),
        ["complete", "p"],
    ),
    "ids of models": (
        lambda text: http(200, {"data": [{"id": text, "name": text, "type": text}]}),
        ["models"],
    ),
    "ids of customizations": (
        lambda text: http(
            200, {"customizations": [{"id": text, "name": text, "description": text}]}
        ),
        ["customizations"],
    ),
    "the errors of a batch": (failing, ["batch", "in.txt", "-o", "out.jsonl", "--overwrite"]),
}
"""Texts of a server, and the command that shows each."""


def added_controls(show: Callable[[str], str]) -> set[str]:
    """Return the control sequences that only the hostile text adds to the output."""
    return controls(show(HOSTILE)) - controls(show(HARMLESS))


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a new directory with the input of a batch."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("place", ANSWERS)
def test_text_of_a_server_is_escaped_on_the_terminal(place: str, screen: str) -> None:
    """Texts, names and errors of a server add no control sequence to the output."""
    answer, command = ANSWERS[place]
    command = [*command, *quiet_flags(screen)]

    def show(text: str) -> str:
        with Server(answer(text)) as server:
            return run_on_terminal(*command, env=server.env | SCREENS[screen])[1]

    assert added_controls(show) == set()


def configured(content: str) -> dict[str, str]:
    """Write a configuration file, and return the environment that names it."""
    path = Path("config.toml")
    path.touch(mode=0o600)
    path.write_text(content)
    return {"WRITER_CONFIG": str(path)}


def quoted(text: str) -> str:
    """Return a text as a TOML string."""
    return json.dumps(text).replace("\\u0000", "0")


def without_nul(text: str) -> str:
    """Return a text that can be an argument, a variable or a file name."""
    return text.replace("\0", "")


LOCAL: dict[str, Callable[[str], tuple[list[str], Mapping[str, str]]]] = {
    "a prompt": lambda text: (["complete", "--dry-run", "--sandbox", text], {}),
    "a prompt as curl": lambda text: (["complete", "--print-curl", "--sandbox", text], {}),
    "a command": lambda text: ([text], {}),
    "a flag": lambda text: (["complete", f"--{text}"], {}),
    "a number": lambda text: (["complete", "--max-tokens", text, "p"], {}),
    "a model": lambda text: (["complete", "--sandbox", "-m", text, "p"], {}),
    "a file that is not there": lambda text: (["complete", "-f", text.replace("/", "")], {}),
    "a file to write": lambda text: (["complete", "--sandbox", "p", "-o", f"no/{text}"], {}),
    "an address": lambda text: (["complete", "p", "--base-url", text], {"WRITER_API_KEY": "k"}),
    "a profile": lambda text: (["complete", "p", "--profile", text], {}),
    "an API": lambda text: (["complete", "p", "--api", text], {}),
    "a setting": lambda text: (["config", "get", text], {}),
    "a value": lambda text: (["config", "set", "model_id", text], {"WRITER_CONFIG": "c.toml"}),
    "a value that is wrong": lambda text: (["config", "set", "timeout", text], {}),
    "a name to set": lambda text: (["config", "set", text, "x"], {}),
    "a variable": lambda text: (["config", "list"], {"WRITER_MODEL_ID": text}),
    "a wrong variable": lambda text: (["config", "list"], {"WRITER_TIMEOUT": text}),
    "a switch": lambda text: (["complete", "p"], {"WRITER_SANDBOX": text}),
    "the name of the file": lambda text: (["config", "path"], {"WRITER_CONFIG": text}),
    "a value in the file": lambda text: (
        ["config", "list"],
        configured(f"model_id = {quoted(text)}"),
    ),
    "a value in the file as JSON": lambda text: (
        ["config", "list", "--json"],
        configured(f"model_id = {quoted(text)}"),
    ),
    "a value that is checked": lambda text: (
        ["config", "check"],
        configured(f"model_id = {quoted(text)}\nbase_url = {quoted(text)}"),
    ),
    "one value": lambda text: (
        ["config", "get", "model_id"],
        configured(f"model_id = {quoted(text)}"),
    ),
    "an unknown name in the file": lambda text: (
        ["config", "list"],
        configured(f"{quoted(text)} = 1"),
    ),
    "a profile in the file": lambda text: (
        ["config", "list"],
        configured(f"[profiles.{quoted(text)}]\nmodel_id = 'm'"),
    ),
    "a file that is no TOML": lambda text: (["config", "list"], configured(f"x = {text}")),
    "an input": lambda text: (["batch", text, "-o", "out.jsonl", "--sandbox"], {}),
    "a template": lambda text: (["batch", "in.txt", "--template", f"{{{text}}}", "--dry-run"], {}),
    "an output": lambda text: (["batch", "in.txt", "-o", f"no/{text}", "--sandbox"], {}),
}
"""Texts of the command line, of variables and of files."""


@pytest.mark.parametrize("screen", ["in colour", "dumb"])
@pytest.mark.parametrize("place", LOCAL)
def test_text_of_the_user_is_escaped_on_the_terminal(place: str, screen: str) -> None:
    """Text of a file, a flag or a variable adds no control sequence to the output."""

    def show(text: str) -> str:
        command, env = LOCAL[place](without_nul(text))
        return run_on_terminal(*command, *quiet_flags(screen), env={**env, **SCREENS[screen]})[1]

    assert added_controls(show) == set()


@pytest.mark.parametrize("screen", ["in colour", "dumb"])
def test_records_are_escaped_on_the_terminal(screen: str) -> None:
    """The prompts of records and the errors about them add no control sequence."""

    def show(text: str) -> str:
        records: list[dict[str, Any]] = [
            {"prompt": text, "id": text},
            {"prompt": "p", "id": text},
            {"prompt": "p", text: 1},
            {"prompt": "p", "temperature": text},
        ]
        Path("in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records) + text)
        return run_on_terminal("batch", "in.jsonl", "--dry-run", "--sandbox", env=SCREENS[screen])[
            1
        ]

    assert added_controls(show) == set()


def test_a_suggested_model_is_escaped_on_the_terminal() -> None:
    """A suggested model id, which a server sent earlier, adds no control sequence."""
    listed = {"data": [{"id": "palmyra" + HOSTILE, "name": "x"}]}

    def script(request: Received) -> Iterator[Step]:
        yield http(200, listed) if request.method == "GET" else http(404, {"tpe": "NotFound"})

    with Server(script) as server:
        env = server.env | SCREENS["dumb"]
        assert run_on_terminal("models", env=env)[0] == 0
        code, shown = run_on_terminal(
            "complete", "-m", "palmyra" + without_nul(HOSTILE)[:-1], "p", env=env
        )
    assert code == 5
    assert controls(shown) == set()


def test_the_search_finds_what_it_looks_for() -> None:
    """The search finds every attack in raw output, and nothing in a harmless text."""
    for text in ATTACKS.values():
        assert controls(text)
    assert controls(HARMLESS + "\t\n\u0300") == set()
    with Server(completing(HOSTILE)) as server:
        _, shown = run_on_terminal("complete", "p", "--raw", env=server.env | SCREENS["dumb"])
    assert controls(shown) == controls(HOSTILE)
