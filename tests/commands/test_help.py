"""The help of commands, and the errors about a wrong command line."""

import json
import re
import shlex

import pytest

from tests.harness.emulator import without_styles
from tests.harness.pages import PAGES, flags_of, texts_of
from tests.harness.program import WRITER, Ran, shell, writer
from tests.harness.pseudo_terminal import OnTerminal
from writer_cli.help.commands import COMMANDS
from writer_cli.help.page import as_text
from writer_cli.help.topics import TOPICS

CONNECTION = {"--api", "--base-url", "--timeout", "--max-retries", "--deadline", "--sandbox"}


@pytest.mark.parametrize("name", PAGES)
def test_every_command_has_help(name: str) -> None:
    """`--help`, `-h` and `writer help` print the same page, at 80 columns in a pipe."""
    page = Ran(0, as_text(PAGES[name], 80), "")
    assert writer(*name.split(), "--help") == page
    assert writer(*name.split(), "-h") == page
    if name not in TOPICS:  # the page of `writer sandbox` refers to it
        assert writer("help", *name.split()) == page


@pytest.mark.parametrize("name", PAGES)
def test_every_flag_has_a_sentence(name: str) -> None:
    """The description of each flag ends with a full stop."""
    texts = texts_of(name)
    assert "--help" in texts
    assert [flag for flag, text in texts.items() if not re.fullmatch(r"[A-Z].*\.", text)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_use_its_flags(name: str) -> None:
    """Each example is a command line with that command's flags only."""
    for example in COMMANDS[name].examples:
        words = shlex.split(example[example.index("writer ") :])
        assert words[1 : len(name.split()) + 1] == name.split()
        assert {word for word in words if re.match("--?[a-z]", word)} <= flags_of(name)


def test_flags_of_the_connection_are_where_there_is_one() -> None:
    """They are the last section of each command that sends a request, and of no other."""
    for name, page in PAGES.items():
        is_last = page.sections[-1].heading == "Connection"
        sends = name in {"complete", "complete-custom", "batch", "models", "customizations"}
        if sends:
            assert is_last
            assert flags_of(name) >= CONNECTION
        elif name == "config check":  # it shows these settings
            assert flags_of(name) & CONNECTION == {"--api", "--base-url", "--sandbox"}
        elif name:
            assert flags_of(name) & CONNECTION == set()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("command", [["config", "list"], ["sandbox"], ["batch", "merge", "a", "b"]])
def test_a_command_without_a_connection_refuses_its_flags(command: list[str], before: bool) -> None:
    """The error names the command and the flag, wherever the flag stands."""
    flag = ["--timeout", "5"]
    ran = writer(*flag, *command) if before else writer(*command, *flag)
    name = f"writer {' '.join(command[:2])}"
    assert ran == Ran(
        2,
        "",
        f"error: {name} has no flag --timeout\n"
        f"hint: this command sends no request; see all flags with `{name} --help`\n",
    )


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--max-tokens", "(1 or more)."),
        ("--min-tokens", "(0 to --max-tokens)."),
        ("--temperature", "(0 or more)."),
        ("--top-p", "(0 to 1)."),
        ("--stop", "(a text that is not empty)."),
        ("--best-of", "(--n or more)."),
        ("--timeout", "(over 0; default 180)."),
        ("--max-retries", "(0 or more; default 3)."),
    ],
)
def test_the_help_says_what_a_flag_may_be(flag: str, allowed: str) -> None:
    """The description of a flag ends with its range and default."""
    assert texts_of("complete")[flag].endswith(f" {allowed}")


def test_help_on_a_terminal_fits_it_and_has_bold_headings() -> None:
    """The help is as wide as the terminal, and its headings are bold."""
    with OnTerminal([WRITER, "complete", "--help"]) as terminal:
        assert terminal.wait() == 0
    assert "\x1b[1mUsage:\x1b[0m writer complete" in terminal.text
    assert re.sub("\x1b\\[\\dm", "", terminal.text) == as_text(PAGES["complete"], 80)


@pytest.mark.parametrize("variable", ["NO_COLOR=1", "TERM=dumb"])
def test_help_without_colour_is_plain(variable: str) -> None:
    """With NO_COLOR or a dumb terminal the help has no escape codes."""
    ran = writer("--help", stdout_is_terminal=True, env=dict([variable.split("=")]))
    assert ran.code == 0
    assert "\x1b" not in ran.output


def test_a_topic_is_printed() -> None:
    """`writer help TOPIC` prints the topic to standard output."""
    ran = writer("help", "exit-codes")
    assert (ran.code, ran.errors) == (0, "")
    assert "  8    the network: connect, TLS, timeout\n" in ran.output


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        ("enviroment", "did you mean environment? the topics are environment, exit-codes, "),
        ("everything", "the topics are environment, exit-codes, profiles, prompts, sandbox, "),
    ],
)
def test_an_unknown_topic_is_a_usage_error(topic: str, hint: str) -> None:
    """The hint names the nearest topic, or all of them."""
    ran = writer("help", topic)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors.startswith(f"error: there is no help on '{topic}'\nhint: {hint}")


def test_help_to_a_full_disk_is_an_error() -> None:
    """Help that cannot be written is an output error."""
    ran = shell("writer --help > /dev/full")
    assert (ran.code, ran.output) == (11, "")
    assert ran.errors == "error: standard output: No space left on device\n"


def test_the_version_is_one_line() -> None:
    """`writer --version` prints the name and the version."""
    ran = writer("--version")
    assert (ran.code, ran.errors) == (0, "")
    assert re.fullmatch(r"writer \d+\.\d+\.\d+\n", ran.output)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_writer_without_a_command_says_how_to_begin(is_terminal: bool) -> None:
    """Without a command ten lines are on standard error, with exit code 2."""
    ran = writer(stdout_is_terminal=is_terminal, stderr_is_terminal=is_terminal)
    assert (ran.code, ran.output) == (2, "")
    assert (
        without_styles(ran.errors)
        == """\
Complete text with language models.

Try it without a key:
  writer complete --sandbox "Once upon a time"
Set up your key:
  writer config init
Use a model of Writer:
  writer complete "Once upon a time"
Help: writer --help
error: no command
"""
    )


@pytest.mark.parametrize("words", [[], ["complete"], ["config", "set"], ["exit-codes"]])
def test_help_takes_a_flag_anywhere(words: list[str]) -> None:
    """`writer help -q complete` is `writer help complete`."""
    assert writer("help", "-q", *words) == writer("help", *words, "-q") == writer("help", *words)


def test_a_flag_as_the_value_of_another_flag_is_not_given() -> None:
    """`--stop --json` asks for no JSON."""
    ran = writer("complete", "--sandbox", "--stop", "--json", "--max-tokens", "0", "x")
    assert ran.errors.startswith("error: --max-tokens 0 is out of range: 1 or more\n")
    ran = writer("--json", "complete", "--sandbox", "--max-tokens", "0", "x")
    assert json.loads(ran.errors)["error"]["kind"] == "usage"


def test_writer_without_a_command_prints_a_json_error() -> None:
    """`writer --json` without a command prints a JSON error."""
    ran = writer("--json")
    assert (ran.code, ran.output) == (2, "")
    assert json.loads(ran.errors)["error"]["message"] == "no command"


ALL = "see all flags with `writer complete --help`"

MISTYPED = [
    (
        ["compleet", "x"],
        "writer has no command 'compleet'",
        "did you mean complete? Or see all commands with `writer --help`",
    ),
    (
        ["Once upon a time"],
        "writer has no command 'Once upon a time'",
        (
            "did you mean `writer complete 'Once upon a time'`? Or see all commands with "
            "`writer --help`"
        ),
    ),
    (
        ["exit-codes"],
        "writer has no command 'exit-codes'",
        "did you mean `writer help exit-codes`? Or see all commands with `writer --help`",
    ),
    (
        ["config", "exit codes"],
        "writer config has no command 'exit codes'",
        "see all commands with `writer config --help`",
    ),
    (["x"], "writer has no command 'x'", "see all commands with `writer --help`"),
    (
        ["--sandbx", "complete", "x"],
        "writer has no flag --sandbx",
        "did you mean --sandbox? Or see all flags with `writer --help`",
    ),
    (
        ["--temperature", "1", "complete", "x"],
        "writer has no flag --temperature",
        "the flags of a command stand after its name: see `writer COMMAND --help`",
    ),
    (
        ["complete", "--temprature", "1", "x"],
        "writer complete has no flag --temprature",
        f"did you mean --temperature? Or {ALL}",
    ),
    (["complete", "-x", "1"], "writer complete has no flag -x", ALL),
    (
        ["complete", "--max-tokens"],
        "--max-tokens needs a value",
        "--max-tokens N: Generate at most this many tokens (1 or more).",
    ),
    (
        ["complete", "--raw=1", "x"],
        "--raw takes no value",
        "--raw: Print control characters unchanged, even on a terminal.",
    ),
    (
        ["models", "all", "of them"],
        "writer models takes no argument 'all'",
        "see what it takes with `writer models --help`",
    ),
    (
        ["batch"],
        "writer batch needs INPUT",
        "INPUT: The file of prompts: .jsonl, .csv, .tsv or .txt; - is standard input.",
    ),
    (
        ["config", "--", "-x"],
        "writer config has no flag -x",
        "see all flags with `writer config --help`",
    ),
    (
        ["config", "gett"],
        "writer config has no command 'gett'",
        "did you mean get? Or see all commands with `writer config --help`",
    ),
    (
        ["config"],
        "writer config needs a command: init, set, get, unset, list, path, check",
        "see what each does with `writer config --help`",
    ),
    (
        ["complete", "--api", "studoi", "x"],
        "--api 'studoi' is not one of enterprise, studio, openai",
        "did you mean --api studio?",
    ),
    (
        ["complete", "--api", "x", "x"],
        "--api 'x' is not one of enterprise, studio, openai",
        "--api enterprise|studio|openai: The API to use (default enterprise).",
    ),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), MISTYPED)
def test_a_mistyped_command_line_is_a_usage_error_with_a_suggestion(
    arguments: list[str], message: str, hint: str
) -> None:
    """Exit code 2, in JSON too, and the hint has the right command line."""
    assert writer(*arguments) == Ran(2, "", f"error: {message}\nhint: {hint}\n")
    ran = writer("--json", *arguments)
    assert (ran.code, ran.output) == (2, "")
    error = json.loads(ran.errors)["error"]
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert (error["message"], error["hint"]) == (message, hint)
