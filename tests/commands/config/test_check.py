"""`writer config check`, and questions on a real terminal."""

import json
import os
import pty
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.config.home import KEY, SHOWN, WRITER, Home
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal


def verdicts(home: Home, *arguments: str, **options: Any) -> dict[str, tuple[str, str, str]]:
    """Return the value, the verdict and the note of each row."""
    return {
        check["name"]: (check["value"], check["verdict"], check["note"])
        for check in home.json("check", *arguments, **options)["checks"]
    }


def test_check_leads_a_new_user_to_a_request_step_by_step(home: Home) -> None:
    """With nothing set, the hint has the commands to type, in order."""
    terminal = home.run("check", on_terminal=True, expected=3)
    assert terminal.errors == (
        "error: a request would fail: api_key, organization_id\n"
        "hint: set up what is missing with `writer config init`, or one by one with "
        "`writer config set api_key`, "
        "`writer config set organization_id NUMBER`, `writer config set model_id palmyra-x5`\n"
    )


def test_check_without_any_setting(home: Home) -> None:
    """Each row says what is missing and how to set it."""
    del home.env["WRITER_CONFIG"]
    found = verdicts(home, expected=3)
    assert found.pop("file")[1:] == ("ok", "does not exist yet: `writer config init` creates it")
    found.pop("max_retries", None)
    assert found == {
        "api_key": (
            "not set",
            "wrong",
            "set it with `writer config set api_key`, or WRITER_API_KEY",
        ),
        "organization_id": (
            "not set",
            "wrong",
            ("set it with `writer config set organization_id NUMBER`, or WRITER_ORGANIZATION_ID"),
        ),
        "model_id": (
            "not set",
            "note",
            "each command then needs -m; or: `writer config set model_id palmyra-x5`",
        ),
        "api": ("enterprise", "ok", "default"),
        "base_url": ("https://enterprise-api.writer.com", "ok", "default"),
        "allow_http": ("false", "ok", "default"),
        "auth_scheme": ("bearer", "ok", "default"),
        "cache": (None, "ok", "not set"),
        "timeout": ("180", "ok", "default"),
        "program": (str(WRITER), "ok", ""),
    }


def test_a_new_user_sets_the_key_and_the_organization_and_is_done(home: Home) -> None:
    """The commands of the hint lead to a request that works."""
    home.run("check", expected=3)
    home.run("set", "api_key", stdin=KEY.encode())
    terminal = home.run("check", expected=3)
    assert terminal.errors == (
        "error: a request would fail: organization_id\n"
        "hint: set up what is missing with `writer config init`, or one by one with "
        "`writer config set organization_id NUMBER`, `writer config set model_id palmyra-x5`\n"
    )
    home.run("set", "organization_id", "7")
    terminal = home.run("check", on_terminal=True)
    assert terminal.errors == (
        'nothing was sent; to try it: writer complete -m palmyra-x5 "Once upon a time"\n'
    )
    home.run("set", "model_id", "palmyra-x5")
    terminal = home.run("check", on_terminal=True)
    assert terminal.errors == 'nothing was sent; to try it: writer complete "Once upon a time"\n'
    terminal = home.run("check")
    rows = [line.split("\t") for line in terminal.output.decode().splitlines()]
    assert terminal.errors == ""
    assert [row[2] for row in rows] == ["ok"] * len(rows)
    assert ["api_key", SHOWN, "ok", f"from {home.path}"] in rows
    assert ["organization_id", "7", "ok", f"from {home.path}"] in rows
    dry = Terminal.fake(env=home.env)
    assert main(["complete", "hello", "--dry-run"], dry) == 0
    assert "/organization/7/model/palmyra-x5/" in json.loads(dry.output)["url"]
    assert KEY.encode() not in home.run("list").output


def test_check_says_where_each_value_comes_from(home: Home) -> None:
    """A row names the variable, the profile or the file of its value."""
    home.write("organization_id = 5\n[profiles.ci]\ntimeout = 30\n")
    found = verdicts(home, "--profile", "ci", env={"WRITER_API_KEY": KEY, "WRITER_MODEL_ID": "m"})
    assert found["file"] == (str(home.path), "ok", "")
    assert found["profile"] == ("ci", "ok", "")
    assert found["api_key"] == (SHOWN, "ok", "from WRITER_API_KEY")
    assert found["organization_id"] == ("5", "ok", f"from {home.path}")
    assert found["model_id"] == ("m", "ok", "from WRITER_MODEL_ID")
    assert found["timeout"] == ("30", "ok", f"from profile ci in {home.path}")
    terminal = home.run("check", "--profile", "ci", env=READY, on_terminal=True)
    assert terminal.errors == (
        'nothing was sent; to try it: writer complete --profile ci "Once upon a time"\n'
    )


READY = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "5", "WRITER_MODEL_ID": "m"}


@pytest.mark.parametrize(
    ("variable", "text", "name", "note"),
    [
        (
            "WRITER_API_KEY",
            f"{KEY}\n{KEY}",
            "api_key",
            "api_key in WRITER_API_KEY: the API key contains ",
        ),
        ("WRITER_ORG_ID", "five", "organization_id", "WRITER_ORG_ID: 'five' is not a whole "),
        (
            "WRITER_MODEL_ID",
            " ",
            "model_id",
            "WRITER_MODEL_ID: ' ' is not a string with at least one visible character; ",
        ),
        ("WRITER_TIMEOUT", "soon", "timeout", "WRITER_TIMEOUT: 'soon' is not a number of "),
        ("WRITER_API", "smoke", "api", "WRITER_API: 'smoke' is not "),
        ("WRITER_BASE_URL", "x", "base_url", "WRITER_BASE_URL: 'x' is not a valid URL; "),
        (
            "WRITER_BASE_URL",
            "http://example.com",
            "base_url",
            "WRITER_BASE_URL: the key is not sent to example.com over plain http; use https://",
        ),
        (
            "WRITER_BASE_URL",
            "https://api.writer.com",
            "base_url",
            "from WRITER_BASE_URL; this host serves another of Writer's APIs",
        ),
        ("WRITER_SANDBOX", "maybe", "sandbox", "WRITER_SANDBOX: 'maybe' is neither yes nor no; "),
    ],
)
def test_check_finds_what_is_wrong_and_goes_on(
    home: Home, variable: str, text: str, name: str, note: str
) -> None:
    """A wrong value is in its row and in the hint, exit code 3, and no row is missing."""
    env = READY | {variable: text}
    found = verdicts(home, env=env, expected=3)
    assert found[name][1] == "wrong"
    assert found[name][2].startswith(note)
    assert {"file", "timeout", "program"} <= set(found)
    # What is right for these depends on the API.
    depending = {"api_key", "organization_id", "model_id"}
    assert depending & set(found) == (set() if name == "api" else depending)
    terminal = home.run("check", env=env, expected=3)
    assert terminal.errors.startswith("error: a request would fail: ")
    assert f"hint: {note}" in terminal.errors
    assert KEY not in terminal.errors + terminal.output.decode()


def test_check_of_a_broken_file_says_so_and_looks_at_the_program(home: Home) -> None:
    """With a broken file only the rows of the file and of the program are shown."""
    home.write("timeout = \n")
    found = verdicts(home, expected=3)
    assert found["file"] == (
        str(home.path),
        "wrong",
        (
            f"{home.path}: Invalid value (at line 1, column 11); "
            "the file is TOML: a line looks like organization_id = 123"
        ),
    )
    assert set(found) == {"file", "program"}


def test_check_notes_a_file_that_others_read_and_one_that_is_not_there(home: Home) -> None:
    """A wrong mode, or a missing file in `WRITER_CONFIG`, is a note and no error."""
    found = verdicts(home, env=READY)
    assert found["file"] == (
        str(home.path),
        "note",
        "WRITER_CONFIG names it, but it does not exist",
    )
    home.write(f"api_key = '{KEY}'\n")
    home.path.chmod(0o644)
    found = verdicts(home, env=READY)
    assert found["file"][1:] == (
        "note",
        f"other users can read the key in {home.path}: chmod 600 {home.path}",
    )


def test_check_notes_a_key_that_is_short_and_a_host_that_is_not_writers(home: Home) -> None:
    """A short key and another host are notes and no errors."""
    env = READY | {"WRITER_API_KEY": "test", "WRITER_BASE_URL": "http://localhost:8000"}
    found = verdicts(home, env=env)
    assert found["api_key"] == (
        "[redacted, 4 characters]",
        "note",
        "from WRITER_API_KEY; short: was it cut when it was copied?",
    )
    assert found["base_url"] == (
        "http://localhost:8000",
        "note",
        "from WRITER_BASE_URL; Writer's own is https://enterprise-api.writer.com",
    )
    env = READY | {"WRITER_BASE_URL": "https://enterprise-api.writer.com/v1"}
    assert verdicts(home, env=env)["base_url"][1] == "note"


def test_check_runs_the_command_and_says_whether_it_gave_a_key(home: Home) -> None:
    """`check` runs the command of the key and reports its success or error."""
    words = [sys.executable, "-c", f"print('{KEY}')"]
    home.write(f"api_key_command = '''{shlex.join(words)}'''\norganization_id = 5\n")
    found = verdicts(home)
    assert found["api_key"] == (SHOWN, "ok", f"from api_key_command in {home.path}")
    home.write("api_key_command = 'no-such-program'\norganization_id = 5\n")
    found = verdicts(home, expected=3)
    assert found["api_key"][1] == "wrong"
    assert found["api_key"][2].startswith("api_key_command: 'no-such-program' cannot be run: No ")


@pytest.mark.parametrize(("flags", "env"), [(["--sandbox"], {}), ([], {"WRITER_SANDBOX": "1"})])
def test_check_of_the_sandbox_needs_nothing(
    home: Home, flags: list[str], env: dict[str, str]
) -> None:
    """No key is looked for, and the suggested command has `--sandbox` if it is needed."""
    home.write("api_key_command = 'no-such-program'\n")
    found = verdicts(home, *flags, env=env)
    assert found["sandbox"] == ("yes", "ok", "nothing else is needed: no key, no network")
    assert "api_key" not in found
    terminal = home.run("check", *flags, env=env, on_terminal=True)
    flag = " --sandbox" if flags else ""
    assert terminal.errors == (
        f'nothing was sent; to try it: writer complete{flag} "Once upon a time"\n'
    )
    assert home.run("check", *flags, "-q", env=env, on_terminal=True).errors == ""


def test_check_of_a_profile_that_is_missing_names_those_there(home: Home) -> None:
    """The row of the file lists the profiles, and how to create one."""
    home.write("[profiles.work]\n")
    note = verdicts(home, "--profile", "ci", expected=3)["file"][2]
    assert note == (
        f"no profile 'ci' in {home.path}; profiles there: work; "
        "create it: `writer config init --profile ci`"
    )


def test_check_fits_a_narrow_terminal(home: Home) -> None:
    """A value that does not fit beside its name stands below it, and no line is too wide."""
    env = {"WRITER_CONFIG": str(home.path), "COLUMNS": "40", "NO_COLOR": "1"}
    terminal = Terminal.fake(env=env, stdout_is_terminal=True)
    main(["config", "check"], terminal)
    lines = terminal.output.decode().splitlines()
    at = lines.index("wrong  organization_id   not set")
    assert lines[at + 1] == "         set it with `writer config set"
    at = lines.index("ok     base_url")
    assert lines[at + 1 : at + 3] == [
        "       https://enterprise-api.writer.com",
        "         default",
    ]
    assert "ok     timeout   180   default" in lines
    assert [line for line in lines if len(line) > 40 and len(line.split()) > 1] == []


def program(directory: Path, name: str) -> Path:
    """Make an executable file that does nothing."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def test_check_notes_another_writer_that_is_first_on_the_path(home: Home) -> None:
    """The note has the path of the other program, and another name for this one."""
    other = program(home.path.parent / "other", "writer")
    env = READY | {"PATH": f"{other.parent}{os.pathsep}{WRITER.parent}"}
    assert verdicts(home, env=env)["program"] == (
        str(other),
        "note",
        "another program called `writer` is first on PATH: call this one writer-cli",
    )
    env = READY | {"PATH": str(other.parent)}
    assert verdicts(home, env=env)["program"][2].endswith(f"call this one {WRITER}-cli")


def test_check_takes_a_link_to_this_program_for_this_program(home: Home) -> None:
    """A symbolic link on PATH, as pipx makes it, counts as this program."""
    link = home.path.parent / "writer"
    link.symlink_to(WRITER)
    found = verdicts(home, env=READY | {"PATH": str(link.parent)})
    assert found["program"] == (str(link), "ok", "")


def test_check_says_where_this_program_is_if_not_on_the_path(home: Home) -> None:
    """The note has the path of a program in an environment that is not activated."""
    found = verdicts(home, env=READY | {"PATH": str(home.path.parent)})
    assert found["program"] == (
        str(WRITER),
        "note",
        "no `writer` is on PATH: call it by this path",
    )


def on_a_terminal(home: Home, typed: bytes, *arguments: str) -> tuple[int, str]:
    """Run the program on a terminal, type at its question; return exit code and screen."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the other process
        env = os.environ | home.env | {"NO_COLOR": "1", "TERM": "dumb"}
        os.execve(WRITER, ["writer", "config", *arguments], env)  # noqa: S606 - within the pty
    screen = b""
    while b": " not in screen:
        screen += os.read(terminal, 4096)
    os.write(terminal, typed)
    try:
        while chunk := os.read(terminal, 4096):
            screen += chunk
    except OSError:  # Linux reports a closed other side this way
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return status, screen.decode()


@pytest.mark.parametrize("arguments", [["set", "api_key"], ["set", "api_key", "-"]])
def test_a_key_is_asked_for_without_echo(home: Home, arguments: list[str]) -> None:
    """The screen shows only the question and the confirmation."""
    status, screen = on_a_terminal(home, f"{KEY}\n".encode(), *arguments)
    assert os.waitstatus_to_exitcode(status) == 0
    assert screen.split() == (
        f"api_key (what you type is not shown): api_key = {SHOWN} in {home.path}".split()
    )
    assert home.path.read_text() == f'api_key = "{KEY}"\n'
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_ctrl_d_at_the_question_sets_nothing(home: Home) -> None:
    """Ctrl-D instead of a key is a usage error."""
    status, screen = on_a_terminal(home, b"\x04", "set", "api_key")
    assert os.waitstatus_to_exitcode(status) == 2
    assert "error: no value for api_key" in screen
    assert not home.path.exists()


def test_ctrl_c_at_the_question_interrupts(home: Home) -> None:
    """The process ends by SIGINT, so that a script that started it stops too."""
    status, _ = on_a_terminal(home, b"\x03", "set", "api_key")
    assert os.waitstatus_to_exitcode(status) == -2
    assert not home.path.exists()


def test_check_of_an_engine(home: Home) -> None:
    """An engine needs a base URL, but neither a key nor an organization."""
    found = verdicts(home, "--api", "openai", expected=3)
    assert found["base_url"][:2] == ("not set", "wrong")
    assert found["api_key"][1:] == ("ok", "a server that needs none is asked without one")
    assert found["organization_id"] == ("not set", "ok", "this API needs none")
    found = verdicts(home, "--api", "openai", "--base-url", "http://127.0.0.1:8000")
    assert found["base_url"][:2] == ("http://127.0.0.1:8000", "ok")


def test_offline_a_request_needs_a_cache_and_nothing_else(home: Home) -> None:
    """The key's command is not run, and `check` says that nothing is sent."""
    ran = home.path.parent / "ran"
    home.write(f'api_key_command = "touch {ran}"\nmodel_id = "m"\n')
    found = verdicts(home, env={"WRITER_OFFLINE": "1"}, expected=3)
    assert found["cache"][:2] == ("not set", "wrong")
    found = verdicts(home, env={"WRITER_OFFLINE": "1", "WRITER_CACHE": "answers"})
    assert found["offline"] == ("yes", "ok", "nothing is sent: every answer comes from the cache")
    assert found["cache"] == ("answers", "ok", "from WRITER_CACHE")
    for name in ("api_key", "organization_id", "base_url"):
        assert found[name][1:] == ("ok", "not needed, because nothing is sent")
    assert not ran.exists()
    found = verdicts(home, env={"WRITER_OFFLINE": "1", "WRITER_SANDBOX": "1"}, expected=3)
    assert found["cache"][:2] == ("not set", "wrong")
    env = {"WRITER_OFFLINE": "1", "WRITER_SANDBOX": "1", "WRITER_CACHE": " "}
    assert verdicts(home, env=env, expected=3)["cache"][1] == "wrong"
    found = verdicts(home, env={"WRITER_OFFLINE": "maybe"}, expected=3)
    assert found["offline"][1:] == (
        "wrong",
        "WRITER_OFFLINE: 'maybe' is neither yes nor no; WRITER_OFFLINE=1 or unset it",
    )
