"""`writer config init`, on a real terminal."""

import json
import re
import signal
from collections.abc import Sequence

import pytest

from tests.commands.config.home import KEY, SHOWN, WRITER, Home
from tests.harness.emulator import without_styles
from tests.harness.program import writer
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import Server, http

MODELS = http(
    200,
    {
        "data": [
            {"id": "palmyra-x5", "name": "Palmyra X5", "type": "GPT"},
            {"id": "ours", "name": "Ours", "type": "GPT"},
        ]
    },
)

Turn = tuple[str, bytes]
"""A question of the program, and the keys that are typed."""

ENTER = b"\n"


def talk(home: Home, turns: Sequence[Turn], *arguments: str, **env: str) -> tuple[int, str]:
    """Answer the questions of `writer config init`; return the exit code and the screen."""
    command = [str(WRITER), "config", "init", *arguments]
    with OnTerminal(command, env={"WRITER_CONFIG": str(home.path), **env}) as terminal:
        for question, keys in turns:
            terminal.wait_for(question)
            terminal.type(keys)
        return terminal.wait(), terminal.text


def test_a_new_user_answers_five_questions_and_is_done(home: Home) -> None:
    """The key is not shown, a wrong answer is asked again, and only the owner reads the file."""
    turns = [
        ("API [enterprise]: ", ENTER),
        ("API key, not shown as you type [none]: ", f"Bearer {KEY}\n".encode()),
        ("Organization number [none]: ", b"twelve\n"),
        ("press Enter to skip it", b"12\n"),
        ("which is free? [Y/n]: ", b"palmyra-x5\n"),
        ("Answer y or n.", b"n\n"),
        ("Model, such as palmyra-x5 [none]: ", b"palmyra-x5\n"),
    ]
    code, screen = talk(home, turns)
    assert code == 0
    assert KEY not in screen
    assert "  studio needs a key of AI Studio, https://app.writer.com/aistudio\n" in screen
    assert screen.endswith('Now try:\n  writer complete "Once upon a time"\n')
    assert home.path.read_text() == (
        f'api_key = "{KEY}"\norganization_id = 12\nmodel_id = "palmyra-x5"\n'
    )
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_the_settings_are_tried_with_one_request(home: Home) -> None:
    """The settings are tried with a request for the models, which are shown.

    The file's other settings and comments are kept, and so are values that Enter skips.
    """
    with Server(MODELS) as server:
        home.write(f'# mine\nbase_url = "{server.url}"\nmodel_id = "old" # still\ntimeout = 5\n')
        turns = [
            ("API [enterprise]: ", ENTER),
            ("[none]: ", f"{KEY}\n".encode()),
            ("Organization number", b"7\n"),
            ("[Y/n]: ", ENTER),
            ("It works. The models: palmyra-x5, ours", b""),
            ("palmyra-x5 [old]: ", ENTER),
        ]
        code, _ = talk(home, turns)
        assert code == 0
        [request] = server.requests
    assert request.line == "GET /llm/organization/7/model HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert home.path.read_text() == (
        f'# mine\nbase_url = "{server.url}"\nmodel_id = "old" # still\ntimeout = 5\n'
        f'api_key = "{KEY}"\norganization_id = 7\n'
    )


@pytest.mark.parametrize("saves", [True, False])
def test_settings_that_do_not_work_are_saved_only_on_request(home: Home, saves: bool) -> None:
    """The error is shown; without a yes nothing is written and its exit code is used."""
    refusal = http(401, {"error": {"message": "the key is not known"}})
    with Server(refusal) as server:
        turns = [
            ("API [enterprise]: ", b"openai\n"),
            ("Base URL, such as", f"{server.url}\n".encode()),
            ("API key", f"{KEY}\n".encode()),
            ("[Y/n]: ", b"y\n"),
            ("Save the settings all the same? [y/N]: ", b"y\n" if saves else ENTER),
            *([("Model [none]: ", ENTER)] if saves else []),
        ]
        code, screen = talk(home, turns)
    assert "the key is not known" in screen
    assert code == (0 if saves else 4)
    assert home.path.exists() == saves
    if saves:
        assert home.json("get", "api")["value"] == "openai"


def test_a_profile_is_set_up_in_the_same_way(home: Home) -> None:
    """Inherited values are the defaults of the questions; a variable causes a warning."""
    home.write(f'api_key_command = "echo {KEY}"\norganization_id = 1\n')
    turns = [
        ("profile ci\r\nEnter keeps", b""),
        ("API [enterprise]: ", b"studio\n"),
        ("API key", ENTER),
        ("[Y/n]: ", b"n\n"),
        ("Model, such as", b"m\n"),
    ]
    code, screen = talk(home, turns, "--profile", "ci", WRITER_API="studio")
    assert code == 0
    assert "warning: WRITER_API is set too, and comes before the file" in screen
    assert 'writer complete --profile ci "Once upon a time"' in screen
    assert home.path.read_text() == (
        f'api_key_command = "echo {KEY}"\norganization_id = 1\n'
        '\n[profiles.ci]\napi = "studio"\nmodel_id = "m"\n'
    )
    # The brackets show the values of the existing profile.
    turns = [("API [studio]: ", ENTER), ("API key", f"{KEY}\n".encode())]
    turns += [("[Y/n]: ", b"n\n"), ("palmyra-x5 [m]: ", ENTER)]
    code, screen = talk(home, turns, "--profile", "ci", "--json")
    assert code == 0
    assert json.loads(screen[screen.index("{") :]) == {
        "version": 1,
        "saved": ["api_key"],
        "path": str(home.path),
        "profile": "ci",
    }


def test_enter_and_ctrl_d_everywhere_change_nothing(home: Home) -> None:
    """No file is written, no request is tried, and what is missing is named."""
    turns = [("API [", b"\x04"), ("API key", b"\x04"), ("number [", ENTER), ("Model", ENTER)]
    code, screen = talk(home, turns)
    assert code == 0
    assert "Nothing was changed." in screen
    assert "A request still needs: API key, organization, model\n" in screen
    assert screen.endswith('Until then, try:\n  writer complete --sandbox "Once upon a time"\n')
    assert not home.path.exists()


def test_an_invalid_variable_does_not_discard_an_answer(home: Home) -> None:
    """The answers are saved, with a warning that the variable comes before the file."""
    turns = [
        ("API [enterprise]: ", ENTER),
        ("API key, not shown as you type [none]: ", f"{KEY}\n".encode()),
        ("Organization number [none]: ", b"12\n"),
        ("which is free? [Y/n]: ", b"n\n"),
        ("Model, such as palmyra-x5 [none]: ", ENTER),
    ]
    code, screen = talk(home, turns, WRITER_ORGANIZATION_ID="twelve")
    assert code == 0
    assert "warning: WRITER_ORGANIZATION_ID is set too" in screen
    assert home.path.read_text() == f'api_key = "{KEY}"\norganization_id = 12\n'


def test_the_trial_uses_what_variables_say(home: Home) -> None:
    """A base URL of the environment gets the request; a model that it lacks is named."""
    with Server(MODELS) as server:
        turns = [
            ("API [enterprise]: ", ENTER),
            ("API key, not shown as you type [none]: ", f"{KEY}\n".encode()),
            ("Organization number [none]: ", ENTER),
            ("which is free? [Y/n]: ", ENTER),
            ("Model, such as palmyra-x5 [none]: ", b"palmyra\n"),
        ]
        env = {"WRITER_BASE_URL": server.url, "WRITER_ORGANIZATION_ID": "7"}
        code, screen = talk(home, turns, **env)
        assert len(server.requests) == 1
    assert code == 0
    assert "warning: palmyra is not in the list of models" in screen
    assert "A request still needs" not in screen


@pytest.mark.parametrize("turns", [[("API [", b"\x03")], [("API [", ENTER), ("key", b"\x03")]])
def test_ctrl_c_writes_nothing(home: Home, turns: list[Turn]) -> None:
    """Ctrl-C at each kind of question ends the process by SIGINT."""
    code, _ = talk(home, turns)
    assert code == -signal.SIGINT
    assert not home.path.exists()


@pytest.mark.parametrize(("stdin", "stderr"), [(True, False), (False, True), (False, False)])
def test_without_a_terminal_nothing_is_asked(stdin: bool, stderr: bool) -> None:
    """The error lists the commands that do the same."""
    ran = writer(
        "config",
        "init",
        "--profile",
        "ci",
        stdin_is_terminal=stdin,
        stderr_is_terminal=stderr,
        env={"WRITER_CONFIG": "/nowhere"},
    )
    assert (ran.code, ran.output) == (2, "")
    commands = [
        "writer config set --profile ci api_key < FILE",
        "writer config set --profile ci organization_id NUMBER",
        "writer config set --profile ci model_id palmyra-x5",
        "writer config check --profile ci",
    ]
    assert [command for command in commands if command not in ran.errors] == []
    assert " ".join(without_styles(ran.errors).split()).startswith(
        "error: writer config init asks questions: standard input and standard error must be a "
        "terminal hint: in a script use "
    )


def test_the_answers_outlive_a_key_command_that_fails(home: Home) -> None:
    """The command runs for the trial only, and its error leaves the answers to be saved."""
    home.write('api_key_command = "no-such-program"\n')
    turns = [
        ("API [enterprise]: ", ENTER),
        ("not shown as you type [from api_key_command]: ", ENTER),
        ("Organization number [none]: ", b"12\n"),
        ("which is free? [Y/n]: ", ENTER),
        ("Save the settings all the same? [y/N]: ", b"y\n"),
        ("Model", ENTER),
    ]
    code, screen = talk(home, turns)
    assert code == 0
    assert "no-such-program" in screen
    assert home.path.read_text() == 'api_key_command = "no-such-program"\norganization_id = 12\n'


def test_the_answers_outlive_an_invalid_variable(home: Home) -> None:
    """Enter warns of the variable, which then counts as not set."""
    turns = [
        ("API [enterprise]: ", ENTER),
        ("API key", ENTER),
        ("Organization number [none]: ", ENTER),
        ("Model", b"palmyra-x5\n"),
    ]
    variables = {"WRITER_API": "foo", "WRITER_API_KEY": " ", "WRITER_ORGANIZATION_ID": "twelve"}
    code, screen = talk(home, turns, **variables)
    assert code == 0
    assert re.findall("warning: (WRITER_[A-Z_]+)", screen) == list(variables)
    assert "A request still needs: API key, organization\n" in screen
    assert home.path.read_text() == 'model_id = "palmyra-x5"\n'


def test_a_typed_key_replaces_a_key_command_with_a_warning(home: Home) -> None:
    """The file has one of the two settings."""
    home.write('api_key_command = "pass show writer"\n')
    turns = [
        ("API [enterprise]: ", ENTER),
        ("[from api_key_command]: ", f"{KEY}\n".encode()),
        ("Organization number [none]: ", ENTER),
        ("Model", ENTER),
    ]
    code, screen = talk(home, turns)
    assert code == 0
    assert "warning: api_key_command was removed" in screen
    assert home.path.read_text() == f'api_key = "{KEY}"\n'


def test_a_key_of_the_file_is_shown_by_its_length(home: Home) -> None:
    """The key of the file is shown only as its length; other values are shown as they are."""
    home.write(f'api = "openai"\nbase_url = "http://[::1]"\napi_key = "{KEY}"\n')
    turns = [("API [", ENTER), (" [http://[::1]]: ", ENTER), (f" {SHOWN}: ", b"\x03")]
    code, screen = talk(home, turns)
    assert code == -signal.SIGINT
    assert KEY not in screen
