"""Random command lines."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.program import TEXTS, examples, folder, run
from tests.harness.pages import PAGES, flags_of

COMMANDS = sorted({*PAGES} - {"", "sandbox"})
"""All commands but the server, which does not end by itself."""

FLAGS = {
    command: sorted(flags_of(command) - {"-h", "--help"}) or ["--sandbox"] for command in COMMANDS
}

PLACEHOLDERS = {
    flag: placeholder
    for page in PAGES.values()
    for term in page.terms()
    for flag, placeholder in re.findall(r"(-[\w-]+) ([^-,\s]\S*)$", term)
}
"""The placeholder of each flag's value in the help; other flags have no value."""

LIKELY: dict[str, st.SearchStrategy[str]] = {
    "FILE": st.sampled_from(["a.txt", "b.jsonl", "out", "-"]),
    "N": st.sampled_from(["0", "1", "2", "3"]),
    "NUMBER": st.sampled_from(["0", "0.5", "1", "2"]),
    "SECONDS": st.just("20"),
    "I/N|auto": st.sampled_from(["1/1", "2/2", "auto"]),
    "URL": st.sampled_from(["http://127.0.0.1:1", "https://127.0.0.1:1/v1"]),
}

ODD = TEXTS | st.sampled_from(
    ["-", "--", "-1", "1e3", "1_0", "nan", "inf", "٣", "", "1" * 30, "1" * 5000, "http://["]
)

BEGINNINGS = {
    "batch": [["b.jsonl", "-o", "out"], ["a.txt", "-o", "out.csv"], ["-"]],
    "batch merge": [["out", "b.jsonl"], ["b.jsonl", "out"]],
    "config set": [["timeout", "2"], ["model_id"], ["api_key"]],
    "config get": [["timeout"], ["api_key"]],
    "config unset": [["timeout"]],
    "help": [["batch"], ["schema"]],
}


@st.composite
def words_of(draw: st.DrawFn, flag: str) -> list[str]:
    """Return a flag with a right value, or with too much or too little."""
    placeholder = PLACEHOLDERS.get(flag)
    choices = placeholder.split("|") if placeholder and "|" in placeholder else ["x", "palmyra-x5"]
    likely = LIKELY.get(placeholder or "", st.sampled_from(choices))
    value = draw(likely if placeholder == "URL" or draw(st.integers(0, 5)) else ODD)
    as_meant = [flag, value] if placeholder else [flag]
    wrong = st.sampled_from([[f"{flag}={value}"], [flag], [value], [f"-{value}"]])
    return draw(st.just(as_meant) if draw(st.integers(0, 9)) else wrong)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Return a command with some of its flags, most of them with valid values."""
    command = draw(st.sampled_from(COMMANDS))
    words = [*command.split(), *draw(st.sampled_from(BEGINNINGS.get(command, [[], ["p"]])))]
    for flag in draw(st.lists(st.sampled_from(FLAGS[command]), max_size=3, unique=True)):
        words += draw(words_of(flag))
    # Requests go only to the sandbox.
    return words if draw(st.booleans()) else [*words, "--sandbox"]


@given(command_lines(), TEXTS, st.booleans(), st.booleans())
@examples(30)
def test_any_command_line_ends_as_documented(
    arguments: list[str], stdin: str, reads_terminal: bool, writes_terminal: bool
) -> None:
    """Any flags end as documented, in a pipe and on a terminal, with and without files."""
    with folder() as here:
        (here / "a.txt").write_text("one\ntwo\n")
        (here / "b.jsonl").write_text('{"prompt": "one"}\n')
        run(
            *arguments,
            env={"WRITER_SANDBOX": "1", "WRITER_CONFIG": "config", "WRITER_MAX_RETRIES": "0"},
            stdin=stdin.encode(),
            # Commands that ask for a key read it from a real terminal.
            stdin_is_terminal=reads_terminal and arguments[0] != "config",
            stdout_is_terminal=writes_terminal,
            stderr_is_terminal=writes_terminal,
        )


GOOD_FLAGS = {
    "--max-tokens": st.integers(1, 6),
    "--min-tokens": st.integers(0, 1),
    "--temperature": st.floats(0, 2),
    "--top-p": st.floats(0.01, 1),
    "--stop": st.text(
        st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5
    ),
    "--presence-penalty": st.floats(-2, 2),
    "--frequency-penalty": st.floats(-2, 2),
    "--logprobs": st.integers(0, 3),
    "--n": st.integers(1, 3),
}


@given(
    st.fixed_dictionaries({}, optional=GOOD_FLAGS),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip),
)
@examples(10)
def test_good_flags_give_as_many_texts_as_they_ask_for(
    given: dict[str, object], prompt: str
) -> None:
    """Valid flags and any prompt on standard input give the requested number of texts."""
    flags = [f"{flag}={value}" for flag, value in given.items()]
    env = {"WRITER_SANDBOX": "1", "WRITER_CONFIG": "none"}
    ran = run("complete", "--json", *flags, env=env, stdin=prompt.encode())
    assert (ran.code, ran.errors) == (0, "")
    assert len(json.loads(ran.output)["choices"]) == given.get("--n", 1)
