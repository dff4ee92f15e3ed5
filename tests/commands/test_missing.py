"""Everything that is missing for a request is reported at once."""

import json

import pytest

from tests.harness.emulator import without_styles
from tests.harness.program import Ran, writer
from tests.harness.servers import KEY
from writer_cli.commands.app import App
from writer_cli.errors import UsageError
from writer_cli.output.terminal import Terminal

ALL = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "1", "WRITER_MODEL_ID": "m"}


def test_everything_that_is_missing_is_named_at_once() -> None:
    """The hint has the commands that set it, and the exit code is 3."""
    assert writer("complete", "The sea") == Ran(
        3,
        "",
        "error: no API key, no organization and no model\n"
        "hint: set up what is missing with `writer config init`, or one by one with "
        "`writer config set api_key`, `writer config set organization_id NUMBER`, "
        "`writer config set model_id palmyra-x5`; in a script set WRITER_API_KEY, "
        "WRITER_ORGANIZATION_ID, WRITER_MODEL_ID; with a key of AI Studio, add --api studio; "
        "to try it without, add --sandbox\n",
    )


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        (["complete", "x"], ["WRITER_MODEL_ID"], "no API key and no organization"),
        (["complete", "x"], ["WRITER_API_KEY"], "no organization and no model"),
        (["complete", "x", "--dry-run"], [], "no organization and no model"),
        (["complete", "x", "--api", "studio"], [], "no API key and no model"),
        (["complete", "x", "--api", "openai"], [], "no base URL and no model"),
        (["batch", "x.txt", "-o", "y"], [], "no API key, no organization and no model"),
        (["batch", "x.txt", "--dry-run"], [], "no organization and no model"),
        (["models"], [], "no API key and no organization"),
        (["customizations"], ["WRITER_ORG_ID"], "no API key and no model"),
    ],
)
def test_only_what_the_command_needs_is_missing(
    command: list[str], given: list[str], message: str
) -> None:
    """What is missing depends on the API, the command, and whether anything is sent."""
    ran = writer(*command, "--json", env={name: ALL[name] for name in given})
    assert (ran.code, ran.output) == (3, "")
    assert json.loads(ran.errors)["error"]["message"] == message


def test_a_server_of_your_own_has_models_that_we_do_not_know() -> None:
    """For an engine, `writer models` is suggested and none of Writer's models."""
    env = {"WRITER_API": "openai", "WRITER_BASE_URL": "http://127.0.0.1:1"}
    ran = writer("complete", "x", env=env)
    assert ran.errors.splitlines()[1] == (
        "hint: add -m ID, or choose a default with `writer config set model_id ID`, or with "
        "WRITER_MODEL_ID; `writer models` lists the models of the server"
    )
    ran = writer("config", "check", env=env)
    assert (
        "model_id\tnot set\tnote\teach command then needs -m; or: `writer config set model_id ID`; "
        "`writer models` lists the models of the server\n"
    ) in ran.output
    ran = writer("config", "check", env=env, stdout_is_terminal=True)
    assert ran.errors == 'nothing was sent; to try it: writer complete -m ID "Once upon a time"\n'


def test_on_forty_columns_no_word_and_no_command_is_broken() -> None:
    """A word or command that does not fit after its indentation is indented less."""
    ran = writer("complete", "x", stderr_is_terminal=True, env={"COLUMNS": "40", "NO_COLOR": "1"})
    lines = without_styles(ran.errors).splitlines()
    assert max(map(len, lines)) == 40
    assert "writer config set organization_id NUMBER" in lines
    assert "   writer config set model_id palmyra-x5" in lines
    ran = writer(
        *("complete", "-q", "--sandbox", "--max-retries", "0", "-m", "fault-429", "x"),
        stderr_is_terminal=True,
        env={"COLUMNS": "40", "NO_COLOR": "1"},
    )
    lines = without_styles(ran.errors).splitlines()
    assert lines[:3] == [
        "error: too many requests: try again in",
        "       1 s",
        "    (fail.tooManyRequests.quotaExceeded)",
    ]


def test_a_missing_model_alone_is_wrong_usage() -> None:
    """If only the model is missing, the exit code is 2, and the hint keeps the profile."""
    env = {name: ALL[name] for name in ("WRITER_API_KEY", "WRITER_ORG_ID")}
    ran = writer("complete", "x", env=env)
    assert ran.code == 2
    assert ran.errors.startswith("error: no model: name one with -m\nhint: add -m palmyra-x5, ")


def test_a_command_that_checks_nothing_else_names_a_missing_model() -> None:
    """`App.model_id` raises the error about a missing model."""
    with pytest.raises(UsageError, match="no model"):
        App(Terminal.fake()).model_id()
