import json
import re

import pytest

from tests.harness.program import WRITER, Ran, shell, writer
from tests.harness.pseudo_terminal import OnTerminal
from writer_cli import cli

COMMANDS = [
    ["complete"],
    ["complete-custom"],
    ["batch"],
    ["batch", "merge"],
    ["models"],
    ["customizations"],
    ["sandbox"],
    ["config"],
    *(["config", name] for name in ("set", "get", "unset", "list", "path", "check")),
]

COLORS = re.compile("\x1b\\[[0-9;]*m")


def undrawn(text: str) -> str:
    """Take the boxes and the colours away."""
    return re.sub("[│╭╮╰╯─]", " ", COLORS.sub("", text))


def descriptions(plain_help: str) -> dict[str, str]:
    """Return what a plain help says of each flag."""
    options = plain_help.partition("Options:\n")[2].partition("\nCommands:")[0]
    entries = [entry for entry in re.split(r"\n(?=  -)", "\n" + options) if entry]
    found = {}
    for entry in entries:
        names, _, description = entry.strip().partition("  ")
        found[re.findall(r"--[\w-]+", names)[0]] = " ".join(description.split())
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """`--help` and `-h` say what the command is for, and what each of its flags does."""
    assert writer(*command, "--help").code == 0
    said = capfd.readouterr().out
    assert said.startswith(f"Usage: writer {' '.join(command)}")
    assert re.match(r"(?s)Usage:[^\n]*\n\n  \w.*?\.\n", said)
    flags = descriptions(said)
    assert "--help" in flags
    assert [flag for flag, text in flags.items() if not re.match(r"\w.*[.)\]]$", text)] == []
    writer(*command, "-h")
    assert capfd.readouterr().out == said


def test_the_help_of_complete_begins_with_the_prompt_and_the_model(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What nearly every call needs stands first."""
    writer("complete", "--help")
    said = capfd.readouterr().out
    assert said.startswith(
        """\
Usage: writer complete [OPTIONS] [prompt]...

  Complete a prompt with a language model.

  writer complete -m palmyra-x5 "Once upon a time"

  git diff | writer complete -m palmyra-x5 "Write a commit message:" -

Arguments:
  prompt...  """
    )
    first_flag = said.partition("Options:\n")[2].split()[:2]
    assert first_flag == ["-m,", "--model-id"]


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--max-tokens", "(1 or more)"),
        ("--min-tokens", "(0 or more, and --max-tokens at the most)"),
        ("--temperature", "(0 or more)"),
        ("--top-p", "(0 to 1)"),
        ("--stop", "(a text that is not empty)"),
        ("--presence-penalty", "(any number)"),
        ("--frequency-penalty", "(any number)"),
        ("--best-of", "(--n or more)"),
        ("--n", "(1 or more)"),
        ("--logprobs", "(0 or more)"),
    ],
)
def test_the_help_says_what_a_flag_may_be(
    flag: str, allowed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The range stands at the end of what the flag does."""
    writer("complete", "--help")
    assert descriptions(capfd.readouterr().out)[flag].endswith(f". {allowed}")


@pytest.mark.parametrize("command", [[], ["complete"], ["complete-custom"]], ids=str)
def test_help_on_a_terminal_says_what_it_says_in_a_pipe(
    command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """No word is taken for markup and lost where the help is drawn with boxes."""
    writer(*command, "--help")
    plain = " ".join(capfd.readouterr().out.split())
    with OnTerminal([WRITER, *command, "--help"]) as terminal:
        assert terminal.wait() == 0
    drawn = undrawn(terminal.text).split()
    said = plain.partition("Options:")[2].replace("...", " ").replace("Commands:", "").split()
    # How flags and values are set differs; what is said of them does not.
    assert [w for w in said if w not in drawn and re.match(r"[(\w]", w)] == []


def test_help_in_a_pipe_is_plain_text() -> None:
    """No box, no colour: it is there to be searched."""
    ran = shell("writer --help | cat; writer complete --help | cat", env={"FORCE_COLOR": ""})
    assert (ran.code, ran.errors) == (0, "")
    assert undrawn(ran.output) == ran.output


def test_the_help_lists_the_exit_codes(capfd: pytest.CaptureFixture[str]) -> None:
    """A script's author need not look elsewhere."""
    writer("--help")
    said = " ".join(capfd.readouterr().out.split())
    for text in ("0 done", "2 usage", "8 the network", "130 interrupted", "143 terminated"):
        assert text in said


def test_the_version_is_one_line() -> None:
    """`writer --version` says the name and the number."""
    ran = writer("--version")
    assert (ran.code, ran.errors) == (0, "")
    assert re.fullmatch(r"writer \d+\.\d+\.\d+\n", ran.output)


def test_writer_alone_is_a_usage_error() -> None:
    """Without a command there is nothing to do, and a script must notice."""
    hint = 'writer --help, or: writer complete "Once upon a time"'
    assert writer() == Ran(2, "", f"error: no command\nhint: {hint}\n")


def test_writer_alone_shows_a_person_the_help() -> None:
    """On a terminal the help comes first, then what was wrong."""
    with OnTerminal([WRITER]) as terminal:
        assert terminal.wait() == 2
    assert undrawn(terminal.text).count("Usage: writer [OPTIONS] COMMAND") == 1
    assert "error: no command" in undrawn(terminal.text).splitlines()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["compleet", "x"],
            "No such command 'compleet'. Did you mean 'complete', 'complete-custom'?",
            "writer --help lists what there is",
        ),
        (
            ["complete", "--temprature", "1", "x"],
            "No such option: --temprature",
            "writer complete --help lists what there is",
        ),
        (
            ["complete", "--max-tokens"],
            "Option '--max-tokens' requires an argument.",
            "writer --help lists what there is",
        ),
        (["config", "gett"], "No such command 'gett'.", "writer config --help lists what there is"),
    ],
)
def test_a_mistyped_command_line_is_a_usage_error_with_a_suggestion(
    arguments: list[str], message: str, hint: str
) -> None:
    """It exits with 2, says so in JSON too, and names the help that has the right word."""
    ran = writer(*arguments)
    assert (ran.code, ran.output) == (2, "")
    first, second = ran.errors.splitlines()
    assert first.startswith(f"error: {message.partition('.')[0]}")
    assert second == f"hint: {hint}"

    ran = writer("--json", *arguments)
    assert (ran.code, ran.output) == (2, "")
    error = json.loads(ran.errors)["error"]
    assert error["kind"] == "usage"
    assert error["exit_code"] == 2
    assert error["hint"] == hint
    assert first == f"error: {error['message']}"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(["complete", "--temprature", "1"], "--temperature"), (["complet"], "'complete'")],
)
def test_what_was_meant_is_suggested(arguments: list[str], nearest: str) -> None:
    """A flag or a command that is nearly right names the right one."""
    assert nearest in writer(*arguments).errors


@pytest.mark.parametrize("program", ["writer", "writer-cli"])
def test_the_shell_completes_commands_and_flags(program: str) -> None:
    """TAB in bash gives the words that begin so."""
    function = f"_{program.replace('-', '_')}_completion"
    script = f"""
        eval "$({program} --show-completion bash)"
        tab() {{
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            {function} {program}
            echo "${{COMPREPLY[@]}}"
        }}
        tab {program} comp
        tab {program} complete --model
        tab {program} config un
    """
    assert shell(script) == Ran(0, "complete complete-custom\n--model-id\nunset\n", "")


def test_the_list_of_commands_says_what_each_says_of_itself(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The summaries stand apart, so that listing the commands need not load them."""
    for name, summary in cli.COMMANDS.items():
        assert writer(name, "--help").code == 0
        said = " ".join(capfd.readouterr().out.split())
        assert f" {summary} " in said
