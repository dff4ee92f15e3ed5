"""`writer config`: what a person and a script see of it, and what it leaves on the disk."""

import errno
import json
import os
import pty
import resource
import shlex
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from writer_cli.cli import main
from writer_cli.output.terminal import FakeTerminal, Terminal

KEY = "made-up-key-for-a-test-0123456789"
SHOWN = "[redacted, 33 characters]"
WRITER = Path(sysconfig.get_path("scripts")) / "writer"


class Home:
    """A configuration file, and the program run with it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "config.toml"
        self.env = {"WRITER_CONFIG": str(self.path), "PATH": str(WRITER.parent)}

    def write(self, text: str) -> None:
        """Make the file, safe from others."""
        self.path.touch(mode=0o600)
        self.path.write_bytes(text.encode())

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        on_terminal: bool = False,
        expected: int = 0,
    ) -> FakeTerminal:
        """Run `writer config`; an exit code that is not the expected one fails the test."""
        terminal = Terminal.fake(
            stdin=stdin,
            env=self.env | dict(env or {}),
            stdin_is_terminal=on_terminal,
            stdout_is_terminal=on_terminal,
        )
        code = main(["config", *arguments], terminal)
        assert code == expected, terminal.errors
        return terminal

    def json(self, *arguments: str, **options: Any) -> Any:
        """Run it with `--json` and return the document on standard output."""
        terminal = self.run(*arguments, "--json", **options)
        assert terminal.output.count(b"\n") == 1
        return json.loads(terminal.output)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home without a configuration file."""
    return Home(tmp_path)


# set


def test_set_writes_the_value_and_says_where(home: Home) -> None:
    """Standard output stays empty; standard error says what was done."""
    terminal = home.run("set", "organization_id", "123")
    assert terminal.output == b""
    assert terminal.errors == f"organization_id = 123 in {home.path}\n"
    assert home.path.read_text() == "organization_id = 123\n"


def test_set_says_nothing_when_told_to_be_quiet(home: Home) -> None:
    """`--quiet` leaves errors."""
    terminal = home.run("set", "organization_id", "123", "--quiet")
    assert (terminal.output, terminal.errors) == (b"", "")


def test_set_answers_a_script_in_json(home: Home) -> None:
    """One object: what was set, and where."""
    assert home.json("set", "timeout", "5") == {
        "version": 1,
        "name": "timeout",
        "value": 5,
        "path": str(home.path),
        "profile": None,
    }
    answer = home.json("set", "api_key", "--profile", "ci", stdin=KEY.encode())
    assert answer["value"] == SHOWN
    assert answer["profile"] == "ci"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("timeout", "5", "timeout = 5\n"),
        ("timeout", "5.0", "timeout = 5\n"),
        ("timeout", "0.5", "timeout = 0.5\n"),
        ("organization_id", str(2**63 - 1), "organization_id = 9223372036854775807\n"),
        ("model_id", 'a "quoted"\n[name]', 'model_id = "a \\"quoted\\"\\n[name]"\n'),
        ("base_url", "https://example.com/", 'base_url = "https://example.com"\n'),
    ],
)
def test_set_stores_what_was_meant(home: Home, name: str, text: str, line: str) -> None:
    """A number is a number without a needless fraction, a text is quoted."""
    home.run("set", name, text)
    assert home.path.read_text() == line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["timeout", "soon"],
            (
                "error: timeout: 'soon' is not a number of seconds over 0 up to 1000000\n"
                "hint: for example: writer config set timeout 30\n"
            ),
        ),
        (
            ["organization_id", str(2**63)],
            (
                "error: organization_id: '9223372036854775808' is not a whole number "
                "from 0 to 2^63 - 1\nhint: for example: writer config set organization_id 123\n"
            ),
        ),
        (
            ["model_id", ""],
            (
                "error: model_id: '' is not a text: it is blank\n"
                "hint: for example: writer config set model_id palmyra-x5\n"
            ),
        ),
        (
            ["model_id", "\udcff"],
            (
                "error: model_id: '\\udcff' is not UTF-8\n"
                "hint: for example: writer config set model_id palmyra-x5\n"
            ),
        ),
        (
            ["base_url", "http://example.com"],
            (
                "error: base_url: a key is not sent to example.com over plain http\n"
                "hint: use https://example.com\n"
            ),
        ),
        (
            ["organization-id", "5"],
            ("error: there is no setting 'organization-id'\nhint: did you mean organization_id?\n"),
        ),
        (
            [f"api_key={KEY}"],
            "error: there is no setting 'api_key'\nhint: without =: writer config set api_key\n",
        ),
        (
            ["timeout", "5", "--profile", "a b"],
            (
                "error: --profile: 'a b' is no name of a profile: those have letters, digits, - "
                "and _\nhint: for example: --profile ci\n"
            ),
        ),
    ],
)
def test_set_refuses_what_cannot_be_right(home: Home, arguments: list[str], said: str) -> None:
    """Exit code 2, what is wrong with it, and no file is made."""
    terminal = home.run("set", *arguments, expected=2)
    assert (terminal.output, terminal.errors) == (b"", said)
    assert not home.path.exists()


def test_set_refuses_a_profile_of_the_environment_by_the_name_of_its_variable(home: Home) -> None:
    """Who did not write `--profile` is not told of it."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_PROFILE": "a.b"}, expected=2)
    assert terminal.errors.startswith("error: WRITER_PROFILE: 'a.b' is no name of a profile")


def test_a_key_is_never_taken_from_an_argument(home: Home) -> None:
    """Others could read it in the list of processes; the message does not repeat it."""
    terminal = home.run("set", "api_key", KEY, expected=2)
    assert terminal.errors == (
        "error: api_key is not taken from the command line, where others can read it\n"
        "hint: writer config set api_key asks for it; a pipe works too: "
        "… | writer config set api_key\n"
    )
    assert not home.path.exists()


@pytest.mark.parametrize("arguments", [["api_key"], ["api_key", "-"]])
@pytest.mark.parametrize("text", ["{}", "{}\n", " {}\r\n", "Bearer {}\n", "\ufeff{}"])
def test_a_key_is_read_from_a_pipe(home: Home, arguments: list[str], text: str) -> None:
    """With or without `-`; spaces around it and the header's word before it are dropped."""
    terminal = home.run("set", *arguments, stdin=text.format(KEY).encode())
    assert terminal.errors == f"api_key = {SHOWN} in {home.path}\n"
    assert home.path.read_text() == f'api_key = "{KEY}"\n'


def test_any_value_is_read_from_a_pipe(home: Home) -> None:
    """`-`, or nothing where standard input is no terminal; one line break is dropped."""
    home.run("set", "model_id", "-", stdin=b"palmyra-x5\r\n")
    home.run("set", "organization_id", stdin=b"7\n")
    assert home.path.read_text() == 'model_id = "palmyra-x5"\norganization_id = 7\n'


PIPE = "pipe one line of text into it: … | writer config set"


@pytest.mark.parametrize(
    ("name", "stdin", "code", "said"),
    [
        ("api_key", b"", 2, f"no value for api_key on standard input\nhint: {PIPE} api_key\n"),
        ("timeout", b"", 2, f"no value for timeout on standard input\nhint: {PIPE} timeout\n"),
        (
            "api_key",
            b"k" * 70_000,
            2,
            f"the value for api_key on standard input is too large\nhint: {PIPE} api_key\n",
        ),
        (
            "api_key",
            b"\xff" * 40,
            2,
            f"the value for api_key on standard input is not UTF-8\nhint: {PIPE} api_key\n",
        ),
        ("api_key", b"\n", 2, "api_key is not a text: it is blank\n"),
        (
            "api_key",
            b"sk-one\nsk-two\n",
            3,
            (
                "the API key has a character that a key cannot have: a space, a line break, "
                "a control character or one beyond ASCII\n"
            ),
        ),
    ],
)
def test_what_a_pipe_brings_and_cannot_be_a_value_is_refused(
    home: Home, name: str, stdin: bytes, code: int, said: str
) -> None:
    """Nothing, too much, no text, several lines: said in a sentence that does not show it."""
    terminal = home.run("set", name, stdin=stdin, expected=code)
    assert terminal.errors.startswith(f"error: {said}")
    assert "sk-" not in terminal.errors
    assert not home.path.exists()


def test_a_closed_standard_input_has_no_value(home: Home) -> None:
    """`<&-` is no reason to fail otherwise than for an empty pipe."""
    terminal = Terminal.fake(env=home.env)
    terminal.stdin = None
    assert main(["config", "set", "timeout"], terminal) == 2
    assert terminal.errors.startswith("error: no value for timeout on standard input\n")


def test_a_person_is_told_how_to_give_a_value(home: Home) -> None:
    """At a terminal nothing waits in silence."""
    terminal = home.run("set", "organization_id", on_terminal=True, expected=2)
    assert terminal.errors == (
        "error: no value for organization_id\n"
        "hint: for example: writer config set organization_id 123\n"
    )


def test_set_warns_of_a_variable_that_comes_before_the_file(home: Home) -> None:
    """Or the new value would seem to have no effect."""
    terminal = home.run("set", "organization_id", "5", env={"WRITER_ORG_ID": "6"})
    assert terminal.errors == (
        "warning: WRITER_ORG_ID is set too, and comes before the file: unset WRITER_ORG_ID\n"
        f"organization_id = 5 in {home.path}\n"
    )


@pytest.mark.parametrize("profile", [[], ["--profile", "ci"]])
def test_a_key_takes_the_place_of_the_command_and_the_other_way_round(
    home: Home, profile: list[str]
) -> None:
    """A file with both is refused, so set never makes one."""
    home.run("set", "api_key_command", "pass show writer", *profile)
    terminal = home.run("set", "api_key", *profile, stdin=KEY.encode())
    assert terminal.errors.startswith(
        "warning: api_key_command was taken out: a key comes from one place\n"
    )
    home.run("list", *profile)
    terminal = home.run("set", "api_key_command", "pass show writer", *profile)
    assert terminal.errors.startswith("warning: api_key was taken out: ")
    assert KEY not in home.path.read_text()


# The file.

COMMENTED = """\
# The settings of this machine.

model_id = "palmyra-x5"   # the large one
organization_id = 1

# For the nightly job.
[profiles.ci]
timeout = 30  # it must not hang
# the end
"""


def test_comments_and_order_survive_a_change(home: Home) -> None:
    """Nothing but the value changes, and what is new stands before the tables."""
    home.write(COMMENTED)
    home.run("set", "organization_id", "2")
    home.run("set", "timeout", "60", "--profile", "ci")
    assert home.path.read_text() == COMMENTED.replace("id = 1", "id = 2").replace("30", "60")
    home.run("unset", "organization_id")
    assert home.path.read_text() == COMMENTED.replace("organization_id = 1\n", "").replace(
        "30", "60"
    )


def test_line_ends_of_windows_survive_a_change(home: Home) -> None:
    """The lines that were there keep theirs."""
    home.write("# one\r\nmodel_id = 'a' # two\r\ntimeout = 5\r\n")
    home.run("set", "timeout", "6")
    assert home.path.read_bytes() == b"# one\r\nmodel_id = 'a' # two\r\ntimeout = 6\r\n"


FORMS = [
    "",
    "[profiles]\n",
    "[profiles.a]\n",
    "[profiles.a]\ntimeout = 1\n[profiles.b]\ntimeout = 2\n",
    "profiles.a.timeout = 1\n",
    "profiles = {a = {timeout = 1}}\n",
    "timeout = 9",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("profile", [None, "a", "c"])
def test_a_value_that_was_set_is_read_back_whatever_form_the_file_has(
    home: Home, form: str, profile: str | None
) -> None:
    """Tables, dotted keys, inline tables, no line end: TOML has many ways to say the same."""
    home.write(form)
    flags = ["--profile", profile] if profile else []
    home.run("set", "model_id", "m", *flags)
    home.run("set", "timeout", "3", *flags)
    assert home.run("get", "model_id", *flags).output == b"m\n"
    assert home.run("get", "timeout", *flags).output == b"3\n"
    home.run("unset", "timeout", *flags)
    assert home.run("get", "model_id", *flags).output == b"m\n"


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(
        lambda text: text.strip() not in {"", "-"}
    )
)
def test_any_text_is_read_back_as_it_was_set(home: Home, text: str) -> None:
    """Quotes, control characters and every script."""
    home.run("set", "model_id", "--", text)
    assert home.json("get", "model_id")["value"] == text


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_only_the_owner_can_read_the_file_whatever_the_umask(home: Home, umask: int) -> None:
    """The file is made 0600 and its directory 0700; a wider mode from before is narrowed."""
    path = home.path.parent / "new" / "config.toml"
    before = os.umask(umask & 0o077)
    try:
        home.run("set", "timeout", "5", env={"WRITER_CONFIG": str(path)})
        os.umask(umask)
        home.write("timeout = 4\n")
        home.path.chmod(0o644)
        home.run("set", "timeout", "5")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(home: Home) -> None:
    """A disk that is full, here a limit of zero bytes, costs no key that was stored."""
    home.write(f"api_key = '{KEY}'\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        terminal = home.run("set", "timeout", "5", expected=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    reason = os.strerror(errno.EFBIG)
    assert terminal.errors == (
        f"error: {home.path} cannot be written: {home.path}: {reason}\n"
        f"hint: WRITER_CONFIG can name another file; see ls -ld {home.path.parent}\n"
    )
    assert home.path.read_text() == f"api_key = '{KEY}'\n"
    assert [path.name for path in home.path.parent.iterdir()] == ["config.toml"]


def test_a_linked_file_stays_a_link(home: Home) -> None:
    """A configuration that is kept elsewhere, under version control perhaps, is changed there."""
    real = home.path.parent / "dotfiles.toml"
    real.write_text("timeout = 4\n")
    home.path.symlink_to(real.name)
    home.run("set", "timeout", "5")
    assert home.path.is_symlink()
    assert real.read_text() == "timeout = 5\n"


@pytest.mark.parametrize("path", ["/proc/config.toml", "/proc/nowhere/config.toml"])
def test_a_place_that_cannot_be_written_is_named(home: Home, path: str) -> None:
    """Exit code 3, the path, and how to look at it."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_CONFIG": path}, expected=3)
    assert terminal.errors.startswith(f"error: {path} cannot be written: ")
    assert f"see ls -ld {Path(path).parent}\n" in terminal.errors


def test_a_device_is_not_taken_for_the_file(home: Home) -> None:
    """What is written to `/dev/null` would be lost without a word."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_CONFIG": "/dev/null"}, expected=3)
    assert terminal.errors == (
        "error: /dev/null is not a file that can be changed\n"
        "hint: WRITER_CONFIG can name another file\n"
    )


@pytest.mark.parametrize(
    ("text", "profile", "said"),
    [
        (f"api_key = '{KEY}", None, 'Expected "\'" (at end of document)'),
        ("profiles = 3\n", "ci", "profiles is not a table"),
        ("[[profiles]]\n", "ci", "profiles is not a table"),
        ("profiles.ci = 3\n", "ci", "profiles.ci is not a table"),
    ],
)
@pytest.mark.parametrize("subcommand", [["set", "timeout", "5"], ["unset", "timeout"]])
def test_a_file_that_is_broken_is_not_changed(
    home: Home, subcommand: list[str], text: str, profile: str | None, said: str
) -> None:
    """It is named with the place, and left for its owner to mend."""
    home.write(text)
    flags = ["--profile", profile] if profile else []
    terminal = home.run(*subcommand, *flags, expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: {said}\n")
    assert home.path.read_text() == text


def test_a_file_that_nests_too_deep_is_not_changed(home: Home) -> None:
    """Whatever the parser's patience, the end is an error of the file."""
    text = "model_id = " + "[" * 5000 + "]" * 5000
    home.write(text)
    terminal = home.run("set", "timeout", "5", expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: ")
    assert home.path.read_text() == text


def test_a_person_is_told_of_a_broken_file_before_typing_the_key(home: Home) -> None:
    """The question would be in vain."""
    home.write("timeout = \n")
    terminal = home.run("set", "api_key", on_terminal=True, expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: Invalid value (at line 1, column 11)\n")


# unset, get, list, path


def test_unset_takes_a_value_out_and_says_so(home: Home) -> None:
    """A second time there is nothing to take out, which is no error."""
    home.write("timeout = 5\nmodel_id = 'm'\n")
    assert home.run("unset", "timeout").errors == f"timeout was taken out of {home.path}\n"
    assert home.path.read_text() == "model_id = 'm'\n"
    assert home.run("unset", "timeout").errors == f"timeout was not set in {home.path}\n"
    assert home.path.read_text() == "model_id = 'm'\n"


def test_unset_does_not_make_a_file_or_a_profile(home: Home) -> None:
    """There is nothing to write."""
    answer = home.json("unset", "timeout", "--profile", "ci")
    assert answer == {
        "version": 1,
        "name": "timeout",
        "was_set": False,
        "path": str(home.path),
        "profile": "ci",
    }
    assert not home.path.exists()


def test_unset_takes_out_what_is_no_setting(home: Home) -> None:
    """A misspelt line stops every command, so this one can remove it."""
    home.write("timout = 5\ntimeout = 6\n")
    home.run("list", expected=3)
    home.run("unset", "timout")
    assert home.run("get", "timeout").output == b"6\n"
    terminal = home.run("unset", "timout", expected=2)
    assert terminal.errors == ("error: there is no setting 'timout'\nhint: did you mean timeout?\n")


def test_get_prints_the_value_and_nothing_else(home: Home) -> None:
    """A script takes it as it is: `$(writer config get organization_id)`."""
    home.write("organization_id = 5\n")
    terminal = home.run("get", "organization_id")
    assert (terminal.output, terminal.errors) == (b"5\n", "")
    assert home.json("get", "organization_id") == {
        "version": 1,
        "name": "organization_id",
        "value": 5,
        "source": str(home.path),
    }


def test_get_of_what_is_not_set_fails(home: Home) -> None:
    """Exit code 3, so that a script does not go on with an empty value."""
    terminal = home.run("get", "organization_id", expected=3)
    assert (terminal.output, terminal.errors) == (
        b"",
        (
            "error: organization_id is not set\n"
            "hint: writer config set organization_id 123, or WRITER_ORGANIZATION_ID\n"
        ),
    )
    terminal = home.run("get", "api_key_command", expected=3)
    assert terminal.errors.endswith("hint: writer config set api_key_command pass show writer\n")


def test_get_shows_a_key_only_by_its_length(home: Home) -> None:
    """In text and in JSON; where a command gives the key, that is said."""
    home.write(f"api_key = '{KEY}'\n")
    assert home.run("get", "api_key").output == f"{SHOWN}\n".encode()
    assert home.json("get", "api_key")["value"] == SHOWN
    home.write("api_key_command = 'pass writer'\n")
    terminal = home.run("get", "api_key", expected=3)
    assert "api_key is not set\n" in terminal.errors


def test_list_in_a_pipe_is_tab_separated(home: Home) -> None:
    """Name, value, origin, variables: a row for each setting, and no key."""
    home.write(f"api_key = '{KEY}'\norganization_id = 5\n[profiles.ci]\ntimeout = 30\n")
    terminal = home.run("list", "--profile", "ci", env={"WRITER_MODEL_ID": "m"})
    rows = [line.split("\t") for line in terminal.output.decode().splitlines()]
    assert [row for row in rows if row[0] != "max_retries"] == [
        ["api_key", SHOWN, str(home.path), "WRITER_API_KEY"],
        ["api_key_command", "", "not set", ""],
        ["organization_id", "5", str(home.path), "WRITER_ORGANIZATION_ID WRITER_ORG_ID"],
        ["model_id", "m", "WRITER_MODEL_ID", "WRITER_MODEL_ID"],
        ["api", "enterprise", "default", "WRITER_API"],
        ["base_url", "", "not set", "WRITER_BASE_URL"],
        ["allow_http", "false", "default", ""],
        ["auth_scheme", "bearer", "default", ""],
        ["timeout", "30", f"profile ci in {home.path}", "WRITER_TIMEOUT"],
    ]
    assert terminal.errors == ""


def test_list_in_json_has_the_file_the_profiles_and_every_setting(home: Home) -> None:
    """What is not set is null; a variable is named where it could set the value."""
    home.write(f"timeout = 30\n[profiles.ci]\napi_key = '{KEY}'\n[profiles.work]\n")
    answer = home.json("list", "--profile", "ci")
    assert answer["version"] == 1
    assert answer["path"] == str(home.path)
    assert answer["profile"] == "ci"
    assert answer["profiles"] == ["ci", "work"]
    found = {item["name"]: item for item in answer["settings"]}
    assert found["timeout"] == {
        "name": "timeout",
        "value": 30,
        "source": str(home.path),
        "variables": ["WRITER_TIMEOUT"],
    }
    assert found["api_key"]["value"] == SHOWN
    assert found["api_key"]["source"] == f"profile ci in {home.path}"
    assert found["model_id"]["value"] is None


def test_list_on_a_terminal_has_headings_and_names_the_profiles(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table for a person; the profiles stand below it, on standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    home.write('model_id = "a\\u001b[2J"\n[profiles.ci]\ntimeout = 5\n[profiles.work]\n')
    terminal = home.run("list", "--profile", "ci", on_terminal=True, env={"NO_COLOR": "1"})
    shown = terminal.output.decode()
    lines = [line.split() for line in shown.splitlines()]
    assert [*lines[0]][:3] == ["name", "value", "from"]
    assert ["model_id", "a␛[2J", "the", "file", "WRITER_MODEL_ID"] in lines
    assert ["timeout", "5", "profile", "ci", "in", "the", "file", "WRITER_TIMEOUT"] in lines
    assert "\x1b[2J" not in shown
    assert terminal.errors == (
        f"the file: {home.path}\nits profiles, for --profile or WRITER_PROFILE: ci, work\n"
    )


def test_list_on_a_terminal_says_that_there_is_no_file_yet(home: Home) -> None:
    """A new user sees where it would be."""
    terminal = home.run("list", on_terminal=True)
    assert terminal.errors == f"the file: {home.path} (not there yet)\n"


def test_path_prints_where_the_file_is_or_would_be(home: Home, isolated_home: Path) -> None:
    """`$EDITOR "$(writer config path)"` works, there or not."""
    assert home.run("path").output == f"{home.path}\n".encode()
    assert home.json("path") == {"version": 1, "path": str(home.path)}
    terminal = Terminal.fake()
    assert main(["config", "path"], terminal) == 0
    path = Path(terminal.output.decode().strip())
    assert path.name == "config.toml"
    assert path.is_relative_to(isolated_home)


# check


def verdicts(home: Home, *arguments: str, **options: Any) -> dict[str, tuple[str, str, str]]:
    """Return what check says of each thing: value, verdict and note."""
    return {
        check["name"]: (check["value"], check["verdict"], check["note"])
        for check in home.json("check", *arguments, **options)["checks"]
    }


def test_check_leads_a_new_user_to_a_request_step_by_step(home: Home) -> None:
    """With nothing set, the hint is what to type, in order."""
    terminal = home.run("check", on_terminal=True, expected=3)
    assert terminal.errors == (
        "error: a request would fail: api_key, organization_id\n"
        "hint: 1. writer config set api_key  2. writer config set organization_id NUMBER  "
        "3. writer config set model_id palmyra-x5  4. writer config check\n"
    )


def test_what_check_says_where_nothing_is_set(home: Home) -> None:
    """Each row says what is missing and what sets it."""
    del home.env["WRITER_CONFIG"]
    found = verdicts(home, expected=3)
    assert found.pop("file")[1:] == ("ok", "not there yet: writer config set makes it")
    found.pop("max_retries", None)
    assert found == {
        "api_key": (
            "not set",
            "wrong",
            "set it with writer config set api_key, or WRITER_API_KEY",
        ),
        "organization_id": (
            "not set",
            "wrong",
            ("set it with writer config set organization_id NUMBER, or WRITER_ORGANIZATION_ID"),
        ),
        "model_id": (
            "not set",
            "note",
            "each command then needs -m; or: writer config set model_id palmyra-x5",
        ),
        "api": ("enterprise", "ok", "default"),
        "base_url": ("https://enterprise-api.writer.com", "ok", "default"),
        "allow_http": ("false", "ok", "default"),
        "auth_scheme": ("bearer", "ok", "default"),
        "timeout": ("180", "ok", "default"),
        "program": (str(WRITER), "ok", ""),
    }


def test_a_new_user_sets_the_key_and_the_organization_and_is_done(home: Home) -> None:
    """Set, set, set, check, list: the whole way, as the hint of check describes it."""
    home.run("check", expected=3)
    home.run("set", "api_key", stdin=KEY.encode())
    terminal = home.run("check", expected=3)
    assert terminal.errors == (
        "error: a request would fail: organization_id\n"
        "hint: 1. writer config set organization_id NUMBER  "
        "2. writer config set model_id palmyra-x5  3. writer config check\n"
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
    """Variable, profile and file are named in the row."""
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
            "api_key in WRITER_API_KEY: the API key has a character that a key cannot have: ",
        ),
        ("WRITER_ORG_ID", "five", "organization_id", "WRITER_ORG_ID: 'five' is not a whole "),
        ("WRITER_MODEL_ID", " ", "model_id", "WRITER_MODEL_ID: ' ' is not a text: it is blank; "),
        ("WRITER_TIMEOUT", "soon", "timeout", "WRITER_TIMEOUT: 'soon' is not a number of "),
        ("WRITER_API", "smoke", "api", "WRITER_API: 'smoke' is not "),
        ("WRITER_BASE_URL", "x", "base_url", "WRITER_BASE_URL: 'x' is not an address; "),
        (
            "WRITER_BASE_URL",
            "http://example.com",
            "base_url",
            "WRITER_BASE_URL: a key is not sent to example.com over plain http; use https://",
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
    """The row says it, the exit code is 3, the hint is the row's, and no other row is missing."""
    env = READY | {variable: text}
    found = verdicts(home, env=env, expected=3)
    assert found[name][1] == "wrong"
    assert found[name][2].startswith(note)
    assert {"file", "api_key", "organization_id", "model_id", "timeout", "program"} <= set(found)
    terminal = home.run("check", env=env, expected=3)
    assert terminal.errors.startswith("error: a request would fail: ")
    assert f"hint: {note}" in terminal.errors
    assert KEY not in terminal.errors + terminal.output.decode()


def test_check_of_a_broken_file_says_so_and_looks_at_the_program(home: Home) -> None:
    """What stands in the file cannot be known, so nothing else is claimed."""
    home.write("timeout = \n")
    found = verdicts(home, expected=3)
    assert found["file"] == (
        str(home.path),
        "wrong",
        (
            f"{home.path}: Invalid value (at line 1, column 11); "
            "it is TOML: lines such as organization_id = 123"
        ),
    )
    assert set(found) == {"file", "program"}


def test_check_notes_a_file_that_others_read_and_one_that_is_not_there(home: Home) -> None:
    """A wrong mode, and a `WRITER_CONFIG` that names nothing, are not wrong enough to fail."""
    found = verdicts(home, env=READY)
    assert found["file"] == (
        str(home.path),
        "note",
        "WRITER_CONFIG names it, and it is not there",
    )
    home.write(f"api_key = '{KEY}'\n")
    home.path.chmod(0o644)
    found = verdicts(home, env=READY)
    assert found["file"][1:] == (
        "note",
        f"others can read the key in {home.path}: chmod 600 {home.path}",
    )


def test_check_notes_a_key_that_is_short_and_a_host_that_is_not_writers(home: Home) -> None:
    """A server on this machine may take any key: that is worth a word, and no failure."""
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
    """Whether a password manager works is what a person wants to know."""
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
    """No key is looked for, and the line to try has the flag where it is needed."""
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
    """The row of the file has the message and the way to make one."""
    home.write("[profiles.work]\n")
    note = verdicts(home, "--profile", "ci", expected=3)["file"][2]
    assert note == (
        f"no profile 'ci' in {home.path}; there: work; "
        "writer config set --profile ci organization_id 123 makes it"
    )


def program(directory: Path, name: str) -> Path:
    """Make a program that does nothing."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def test_check_notes_another_writer_that_is_first_on_the_path(home: Home) -> None:
    """It names the other, and the name under which this one can be called."""
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
    """As pipx installs it."""
    link = home.path.parent / "writer"
    link.symlink_to(WRITER)
    found = verdicts(home, env=READY | {"PATH": str(link.parent)})
    assert found["program"] == (str(link), "ok", "")


def test_check_says_where_this_program_is_if_not_on_the_path(home: Home) -> None:
    """An environment that is not activated."""
    found = verdicts(home, env=READY | {"PATH": str(home.path.parent)})
    assert found["program"] == (
        str(WRITER),
        "note",
        "no `writer` is on PATH: call it by this path",
    )


# A real terminal.


def on_a_terminal(home: Home, typed: bytes, *arguments: str) -> tuple[int, str]:
    """Run the program on a terminal, type once it asks, and return its end and the screen."""
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
    except OSError:  # the other side is closed, in the words of Linux
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return status, screen.decode()


@pytest.mark.parametrize("arguments", [["set", "api_key"], ["set", "api_key", "-"]])
def test_a_key_is_asked_for_without_echo(home: Home, arguments: list[str]) -> None:
    """The question and the confirmation are all that the screen shows."""
    status, screen = on_a_terminal(home, f"{KEY}\n".encode(), *arguments)
    assert os.waitstatus_to_exitcode(status) == 0
    assert screen.replace("\r\n", "\n") == (
        f"api_key (what you type is not shown): \napi_key = {SHOWN} in {home.path}\n"
    )
    assert home.path.read_text() == f'api_key = "{KEY}"\n'
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_ctrl_d_at_the_question_sets_nothing(home: Home) -> None:
    """No answer is a usage error, not a bug."""
    status, screen = on_a_terminal(home, b"\x04", "set", "api_key")
    assert os.waitstatus_to_exitcode(status) == 2
    assert "error: api_key is not a text: it is blank" in screen
    assert not home.path.exists()


def test_ctrl_c_at_the_question_interrupts(home: Home) -> None:
    """The process dies of the signal, so that a script that started it stops too."""
    status, _ = on_a_terminal(home, b"\x03", "set", "api_key")
    assert os.waitstatus_to_exitcode(status) == -2
    assert not home.path.exists()
