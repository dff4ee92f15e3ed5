"""Shell completion: the words that TAB offers, also in real shells."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.harness.program import Ran, shell, writer
from tests.harness.pseudo_terminal import OnTerminal
from writer_cli.config import model_cache
from writer_cli.help.topics import TOPICS


def offers(*words: str, env: dict[str, str] | None = None) -> list[str]:
    """Return the words that TAB offers after these words."""
    ran = writer("__complete", *words, env=env)
    assert (ran.code, ran.errors) == (0, "")
    return [line.partition("\t")[0] for line in ran.output.splitlines()]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    """Return the variables for a configuration file with two profiles, one for another API."""
    path = tmp_path / "config.toml"
    path.write_text('[profiles.ci]\ntimeout = 5\n[profiles.desk]\napi = "studio"\n')
    return {"WRITER_CONFIG": str(path)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], ["complete", "complete-custom", "completion"]),
        (["complete", "--model"], ["--model-id"]),
        (["complete", "-m", "x", "--mod"], []),  # it was given
        (["complete", "--stop", "x", "--sto"], ["--stop"]),  # it can be given again
        (["complete", "--no-s"], ["--no-stream"]),
        (["--api", "studio", "complete", "--vers"], []),
        (["--ver"], ["--version", "--verbose"]),
        (["complete", "--api", ""], ["enterprise", "studio", "openai"]),
        (["complete", "--api=s"], ["--api=studio"]),
        (["complete", "--nothing=s"], []),
        (["complete", "--nothing", "--api", "o"], ["openai"]),
        (["complete", "prompt", "-"], None),
        (["complete", ""], []),
        (["batch", ""], ["merge", ":files"]),
        (["batch", "merge", "a", "b", ""], [":files"]),
        (["batch", "in.txt", "--output-format", ""], ["jsonl", "csv", "txt"]),
        (["complete", "-f", ""], [":files"]),
        (["complete", "-o", "x"], [":files"]),
        (["complete", "--cache", ""], [":files"]),
        (["config", "un"], ["unset"]),
        (["config", "set", "time"], ["timeout"]),
        (["config", "get", "model"], ["model_id"]),
        (["config", "unset", "allow"], ["allow_http"]),
        (["config", "unset", "allow_http", ""], []),
        (["config", "set", "api", ""], ["enterprise", "studio", "openai"]),
        (["config", "set", "auth_scheme", "r"], ["raw"]),
        (["config", "set", "timeout", ""], []),
        (["config", "set", "nothing", ""], []),
        (["help", "e"], ["environment", "exit-codes"]),
        (["help", "config", "c"], ["check"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["models", ""], []),
        (["complete", "--sandbox", "-m", "fault-40"], [f"fault-40{n}" for n in (0, 1, 3, 4)]),
        ([], None),
    ],
)
def test_completion_offers_the_words_that_fit(words: list[str], expected: list[str] | None) -> None:
    """TAB offers commands, further flags, values, settings, topics and files."""
    offered = offers(*words)
    if expected is None:
        assert len(offered) > 8
    else:
        assert offered == expected


def test_an_offer_has_a_description() -> None:
    """The description follows a tab, for the shells that show it."""
    ran = writer("__complete", "compl")
    assert ran.output.startswith("complete\tComplete a prompt with a language model.\n")


def test_every_topic_is_offered() -> None:
    """`writer help` offers topics and commands, each of them once."""
    assert set(TOPICS) <= set(offers("help", ""))
    assert len(offers("help", "")) == len(set(offers("help", "")))


def test_profiles_come_from_the_file(config: dict[str, str]) -> None:
    """Profiles of a broken file are not offered, and cause no error."""
    assert offers("complete", "--profile", "", env=config) == ["ci", "desk"]
    Path(config["WRITER_CONFIG"]).write_text("broken = ")
    assert offers("complete", "--profile", "", env=config) == []
    assert offers("complete", "-m", "", env=config) == []


def test_model_ids_come_from_the_last_list_of_the_api_in_use(config: dict[str, str]) -> None:
    """The API may come from a flag or a profile; ids with shell syntax are not offered."""
    model_cache.remember(model_cache.path_for("enterprise"), ["one", "x; rm -rf ~", "$(x)"])
    model_cache.remember(model_cache.path_for("studio"), ["two:latest"])
    assert offers("complete", "-m", "", env=config) == ["one"]
    assert offers("config", "set", "model_id", "", env=config) == ["one"]
    assert offers("complete", "--api", "studio", "-m", "", env=config) == ["two:latest"]
    assert offers("complete", "--profile=desk", "-m", "", env=config) == ["two:latest"]
    assert offers("complete", "--api", "openai", "-m", "", env=config) == []
    assert offers("complete", "-m", "", env=config | {"WRITER_SANDBOX": "0"}) == ["one"]
    assert "sandbox" in offers("complete", "-m", "", env=config | {"WRITER_SANDBOX": "1"})
    assert offers("complete", "-m", "", env=config | {"WRITER_SANDBOX": "perhaps"}) == []


def test_the_script_can_be_had_as_json() -> None:
    """With `--json` the completion script is in a JSON object."""
    script = writer("completion", "fish")
    assert (script.code, script.errors) == (0, "")
    printed = json.loads(writer("completion", "fish", "--json").output)
    assert printed == {"version": 1, "shell": "fish", "script": script.output}


def test_bash_completes() -> None:
    """Bash completes words with = and :, files, and both names of the program."""
    model_cache.remember(model_cache.path_for("enterprise"), ["llama:latest", "llama:mini"])
    script = """
        eval "$(writer completion bash)"
        mkdir "$HOME/here" && cd "$HOME/here" && touch 'a file' other
        tab() {
            COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
            _writer_completion
            printf '%s|' "${COMPREPLY[@]}"; echo
        }
        tab 'writer comp' writer comp
        tab 'writer-cli config un' writer-cli config un
        tab 'writer complete --api=s' writer complete --api = s
        tab 'writer complete --api=' writer complete --api =
        tab 'writer complete -m llama:la' writer complete -m llama : la
        tab 'writer complete -f ' writer complete -f ''
        complete -p writer writer-cli
    """
    assert shell(script) == Ran(
        0,
        "complete|complete-custom|completion|\nunset|\nstudio|\nenterprise|studio|openai|\n"
        "latest|\na file|other|\n"
        "complete -F _writer_completion writer\ncomplete -F _writer_completion writer-cli\n",
        "",
    )


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes() -> None:
    """Fish offers the words with their descriptions."""
    script = """
        writer completion fish | source
        mkdir $HOME/here; cd $HOME/here; touch 'a file' other
        complete -C 'writer compl'
        complete -C 'writer complete --api=s'
        complete -C 'writer-cli config un'
        complete -C 'writer complete -f o'
        complete -C 'writer complete --file=o'
    """
    ran = shell(script, interpreter="fish")
    assert ran.errors == ""
    assert ran.output.splitlines() == [
        "complete\tComplete a prompt with a language model.",
        "complete-custom\tComplete a prompt with a customized model.",
        "completion\tPrint the script that lets your shell complete with TAB.",
        "--api=studio",
        "unset\tRemove a setting from the configuration file.",
        "other",
        "--file=other",
    ]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes(tmp_path: Path) -> None:
    """Zsh inserts the only word that fits, or a file, when TAB is pressed."""
    (tmp_path / "only-file").touch()
    with OnTerminal(["zsh", "-f"], env={"ZDOTDIR": str(tmp_path), "PS1": "ready> "}) as terminal:
        terminal.wait_for("ready> ")
        terminal.type(b'eval "$(writer completion zsh)"; cd ' + os.fsencode(tmp_path) + b"\r")
        terminal.type(b"echo ready\r")
        terminal.wait_for("\nready")
        for typed, word in [
            (b"writer config un\t", b"config unset"),
            (b"writer complete --api=s\t", b"--api=studio"),
            (b"writer complete -f onl\t", b"only-file"),
        ]:
            terminal.type(typed)
            terminal.wait_for(word.decode())
            terminal.type(b"\x15")  # clears the line
        terminal.type(b"exit\r")
        terminal.wait()


def test_a_shell_that_is_not_known_is_refused() -> None:
    """The error lists the supported shells and suggests the nearest."""
    ran = writer("completion", "tcsh")
    assert ran.code == 2
    assert ran.errors.startswith("error: 'tcsh' is not one of bash, zsh, fish\nhint: ")
    ran = writer("completion", "bahs")
    assert ran.errors == "error: 'bahs' is not one of bash, zsh, fish\nhint: did you mean bash?\n"
