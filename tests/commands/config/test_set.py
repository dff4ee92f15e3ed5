"""`writer config set`."""

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.commands.config.home import KEY, SHOWN, Home
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal


def test_set_writes_the_value_and_says_where(home: Home) -> None:
    """The confirmation is on standard error, and standard output is empty."""
    terminal = home.run("set", "organization_id", "123")
    assert terminal.output == b""
    assert terminal.errors == f"organization_id = 123 in {home.path}\n"
    assert home.path.read_text() == "organization_id = 123\n"


def test_quiet_hides_the_confirmation_of_set(home: Home) -> None:
    """`--quiet` hides the confirmation."""
    terminal = home.run("set", "organization_id", "123", "--quiet")
    assert (terminal.output, terminal.errors) == (b"", "")


def test_set_answers_a_script_in_json(home: Home) -> None:
    """The JSON object has the setting, its value and the path."""
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
def test_set_writes_the_right_toml_type(home: Home, name: str, text: str, line: str) -> None:
    """A number is written as a number, in its shortest form, and a text in quotes."""
    home.run("set", name, text)
    assert home.path.read_text() == line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["timeout", "soon"],
            (
                "error: timeout: 'soon' is not a number of seconds above 0, up to 1000000\n"
                "hint: for example: `writer config set timeout 30`\n"
            ),
        ),
        (
            ["organization_id", str(2**63)],
            (
                "error: organization_id: '9223372036854775808' is not a whole number "
                "from 0 to 2^63 - 1\nhint: for example: `writer config set organization_id 123`\n"
            ),
        ),
        (
            ["model_id", ""],
            (
                "error: model_id: '' is not a string with at least one visible character\n"
                "hint: for example: `writer config set model_id palmyra-x5`\n"
            ),
        ),
        (
            ["model_id", "\udcff"],
            (
                "error: model_id: '\\udcff' is not UTF-8\n"
                "hint: for example: `writer config set model_id palmyra-x5`\n"
            ),
        ),
        (
            ["base_url", "http://example.com"],
            (
                "error: base_url: the key is not sent to example.com over plain http\n"
                "hint: use https://example.com\n"
            ),
        ),
        (
            ["organization-id", "5"],
            ("error: there is no setting 'organization-id'\nhint: did you mean organization_id?\n"),
        ),
        (
            [f"api_key={KEY}"],
            (
                "error: there is no setting 'api_key'\n"
                "hint: leave out the =: `writer config set api_key`\n"
            ),
        ),
        (
            ["timeout", "5", "--profile", "a b"],
            (
                "error: --profile: 'a b' is not a valid profile name: use letters, digits, - "
                "and _\nhint: for example: --profile ci\n"
            ),
        ),
    ],
)
def test_set_refuses_an_invalid_value(home: Home, arguments: list[str], said: str) -> None:
    """Exit code 2, the reason, and no file is written."""
    terminal = home.run("set", *arguments, expected=2)
    assert (terminal.output, terminal.errors) == (b"", said)
    assert not home.path.exists()


def test_set_refuses_a_profile_of_the_environment_by_the_name_of_its_variable(home: Home) -> None:
    """The error about a profile from `WRITER_PROFILE` names the variable."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_PROFILE": "a.b"}, expected=2)
    assert terminal.errors.startswith("error: WRITER_PROFILE: 'a.b' is not a valid profile name")


def test_a_key_is_never_taken_from_an_argument(home: Home) -> None:
    """A key as an argument, which others could read, is refused and not repeated."""
    terminal = home.run("set", "api_key", KEY, expected=2)
    assert terminal.errors == (
        "error: api_key cannot be an argument, because other users can read arguments\n"
        "hint: type it when `writer config set api_key` asks for it, or use a pipe: "
        "`… | writer config set api_key`\n"
    )
    assert not home.path.exists()


@pytest.mark.parametrize("arguments", [["api_key"], ["api_key", "-"]])
@pytest.mark.parametrize("text", ["{}", "{}\n", " {}\r\n", "Bearer {}\n", "\ufeff{}"])
def test_a_key_is_read_from_a_pipe(home: Home, arguments: list[str], text: str) -> None:
    """`-` is optional; spaces and a `Bearer` before the key are dropped."""
    terminal = home.run("set", *arguments, stdin=text.format(KEY).encode())
    assert terminal.errors == f"api_key = {SHOWN} in {home.path}\n"
    assert home.path.read_text() == f'api_key = "{KEY}"\n'


def test_any_value_is_read_from_a_pipe(home: Home) -> None:
    """`-`, or no value without a terminal, reads standard input and drops one line break."""
    home.run("set", "model_id", "-", stdin=b"palmyra-x5\r\n")
    home.run("set", "organization_id", stdin=b"7\n")
    assert home.path.read_text() == 'model_id = "palmyra-x5"\norganization_id = 7\n'


PIPE = "pipe one line of text into it: `… | writer config set"


@pytest.mark.parametrize(
    ("name", "stdin", "code", "said"),
    [
        ("api_key", b"", 2, f"no value for api_key on standard input\nhint: {PIPE} api_key`\n"),
        ("timeout", b"", 2, f"no value for timeout on standard input\nhint: {PIPE} timeout`\n"),
        (
            "api_key",
            b"k" * 70_000,
            2,
            f"the value for api_key on standard input is too large\nhint: {PIPE} api_key`\n",
        ),
        (
            "api_key",
            b"\xff" * 40,
            2,
            f"the value for api_key on standard input is not UTF-8\nhint: {PIPE} api_key`\n",
        ),
        ("api_key", b"\n", 2, "no value for api_key\n"),
        (
            "api_key",
            b"sk-one\nsk-two\n",
            3,
            (
                "the API key contains a space, a line break, "
                "a control character or a character outside ASCII\n"
            ),
        ),
    ],
)
def test_an_invalid_value_from_a_pipe_is_refused(
    home: Home, name: str, stdin: bytes, code: int, said: str
) -> None:
    """An empty, too long, binary or multi-line value is refused and not shown."""
    terminal = home.run("set", name, stdin=stdin, expected=code)
    assert terminal.errors.startswith(f"error: {said}")
    assert "sk-" not in terminal.errors
    assert not home.path.exists()


def test_a_closed_standard_input_has_no_value(home: Home) -> None:
    """A closed standard input causes the same error as an empty one."""
    terminal = Terminal.fake(env=home.env)
    terminal.stdin = None
    assert main(["config", "set", "timeout"], terminal) == 2
    assert terminal.errors.startswith("error: no value for timeout on standard input\n")


def test_a_person_is_told_how_to_give_a_value(home: Home) -> None:
    """On a terminal a missing value is an error, and the program does not wait."""
    terminal = home.run("set", "organization_id", on_terminal=True, expected=2)
    assert terminal.errors == (
        "error: no value for organization_id\n"
        "hint: for example: `writer config set organization_id 123`\n"
    )


def test_set_warns_of_a_variable_that_comes_before_the_file(home: Home) -> None:
    """A variable that overrides the new value causes a warning."""
    terminal = home.run("set", "organization_id", "5", env={"WRITER_ORG_ID": "6"})
    assert terminal.errors == (
        "warning: WRITER_ORG_ID is set too, and comes before the file: unset WRITER_ORG_ID\n"
        f"organization_id = 5 in {home.path}\n"
    )


@pytest.mark.parametrize("profile", [[], ["--profile", "ci"]])
def test_a_key_takes_the_place_of_the_command_and_the_other_way_round(
    home: Home, profile: list[str]
) -> None:
    """Setting the key removes its command, and setting the command removes the key."""
    home.run("set", "api_key_command", "pass show writer", *profile)
    terminal = home.run("set", "api_key", *profile, stdin=KEY.encode())
    assert terminal.errors.startswith(
        "warning: api_key_command was removed: only one of the two settings is allowed\n"
    )
    home.run("list", *profile)
    terminal = home.run("set", "api_key_command", "pass show writer", *profile)
    assert terminal.errors.startswith("warning: api_key was removed: ")
    assert KEY not in home.path.read_text()


def test_values_that_are_set_at_the_same_time_are_all_there(home: Home, tmp_path: Path) -> None:
    """Concurrent changes are all in the file, also if it did not exist."""
    home = Home(tmp_path / "new" / "directory")
    profiles = [f"p{number}" for number in range(8)]

    def change(profile: str) -> None:
        home.run("set", "timeout", "5", "--profile", profile)
        home.run("set", "organization_id", "7", "--profile", profile)
        home.run("unset", "timeout", "--profile", profile)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, profiles))
    written = tomllib.loads(home.path.read_text())
    assert written == {"profiles": {profile: {"organization_id": 7} for profile in profiles}}


def test_a_boolean_is_set_by_its_name(home: Home) -> None:
    """`true` is written as a boolean."""
    home.run("set", "allow_http", "true")
    assert tomllib.loads(home.path.read_text()) == {"allow_http": True}
