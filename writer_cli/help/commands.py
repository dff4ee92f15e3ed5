"""The help texts of the commands. The text of a flag stands where the flag is declared."""

from typing import NamedTuple

from writer_cli.config.schema import SETTINGS
from writer_cli.help.page import Row, Section


class CommandText(NamedTuple):
    """The help text of a command.

    Attributes:
        summary: One sentence; the list of commands has it too.
        details: Paragraphs that follow it.
        examples: Command lines that work as they stand, for whoever has the files they name.
        sections: Further parts of the page before the flags.
    """

    summary: str
    details: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


COMMANDS: dict[str, CommandText] = {
    "complete": CommandText(
        "Complete a prompt with a language model.",
        ("On a terminal the text is printed while it is generated; a pipe gets it whole.",),
        (
            'writer complete --sandbox "Once upon a time"',
            'writer complete -m palmyra-x5 --max-tokens 50 "Once upon a time"',
            'git diff | writer complete "Write a commit message for this change:" -',
        ),
    ),
    "complete-custom": CommandText(
        "Complete a prompt with a customized model.",
        ("`writer customizations` lists the customizations of a model.",),
        (
            'writer complete-custom --customization-id tales --sandbox "Once upon a time"',
            'writer complete-custom -m palmyra-x5 --customization-id ID "Once upon a time"',
        ),
    ),
    "batch": CommandText(
        "Complete a whole file of prompts.",
        (
            (
                "The output has one result for each prompt. If the command is stopped, run the "
                "same command again: it goes on with the prompts that have no result yet."
            ),
            "A generation flag, such as --temperature, applies to every record without that field.",
            "`writer batch merge` joins the results of several machines.",
        ),
        (
            "writer batch prompts.txt -m palmyra-x5 -o answers.jsonl",
            "writer batch products.csv --template 'A tagline for {product}:' --dry-run",
            "writer batch prompts.txt -m palmyra-x5 -o answers.jsonl --retry-failed",
        ),
    ),
    "batch merge": CommandText(
        "Join the results of several machines in one file.",
        (
            (
                "The results are sorted in the order of the input. If a record is missing or "
                "appears twice, the command fails and writes nothing."
            ),
            "To complete a file that is called merge, write `writer batch ./merge`.",
        ),
        (
            "writer batch merge all.jsonl part-*.jsonl",
            "writer batch merge all.jsonl part-*.jsonl --records 1000",
        ),
    ),
    "models": CommandText(
        "List the models that you can use.",
        (),
        ("writer models", "writer models --json"),
    ),
    "customizations": CommandText(
        "List the customizations of a model.",
        ("Only the enterprise API has customizations.",),
        ("writer customizations -m palmyra-x5", "writer customizations --sandbox"),
    ),
    "config": CommandText(
        "Set up the key and other settings, and show them.",
        sections=(
            Section(
                "Settings",
                rows=tuple(Row(name, f"{spec.meaning}") for name, spec in SETTINGS.items()),
            ),
        ),
    ),
    "config init": CommandText(
        "Set up the key and the other settings, step by step.",
        (
            (
                "It asks which API you use, and for the key, the organization and the default "
                "model. Enter skips a question. Nothing is written before the last answer."
            ),
            "With --profile the answers are saved as a profile.",
        ),
        ("writer config init", "writer config init --profile ci"),
    ),
    "config set": CommandText(
        "Save a setting in the configuration file.",
        (
            (
                "A key is never an argument, because other users can read arguments: the command "
                "asks for it, or reads it from standard input."
            ),
        ),
        (
            "writer config set api_key",
            "writer config set organization_id 486589",
            "writer config set --profile ci timeout 60",
        ),
    ),
    "config get": CommandText(
        "Print the value of a setting, as a request would use it.",
        ("Of a key only the length is shown. A setting without a value is an error, exit code 3.",),
        ("writer config get model_id", "writer config get timeout --profile ci"),
    ),
    "config unset": CommandText(
        "Remove a setting from the configuration file.",
        (),
        ("writer config unset model_id", "writer config unset --profile ci timeout"),
    ),
    "config list": CommandText(
        "Print all settings and where each comes from.",
        (),
        ("writer config list", "writer config list --profile ci --json"),
    ),
    "config path": CommandText(
        "Print where the configuration file is.",
        ("The file need not exist: `writer config set` creates it.",),
        ("writer config path",),
    ),
    "config check": CommandText(
        "Check the settings of a request, without sending one.",
        ("The exit code is 3 if a request would fail.",),
        ("writer config check", "writer config check --profile ci"),
    ),
    "cache": CommandText(
        "Count, check and delete the answers that --cache keeps.",
        ("docs/ci.md of the project describes the cache, with recipes for CI.",),
    ),
    "cache stats": CommandText(
        "Print how many answers are kept, and their size.",
        (),
        ("writer cache stats --cache recordings", "writer cache stats --json"),
    ),
    "cache mark": CommandText(
        "Mark the time from which on `writer cache prune --unused` counts uses.",
        ("The mark is the file .mark in the folder. `prune --unused` deletes it.",),
        ("writer cache mark --cache recordings",),
    ),
    "cache prune": CommandText(
        "Delete recordings that are old or not used.",
        (),
        (
            "writer cache prune --older-than 30d",
            "writer cache prune --unused --dry-run --cache recordings",
        ),
    ),
    "cache verify": CommandText(
        "Read all recordings and list those that are damaged.",
        ("The exit code is 9 if one is damaged, or if its name is not the key of its request.",),
        ("writer cache verify --cache recordings",),
    ),
    "sandbox": CommandText(
        "Serve the embedded model on this machine.",
        (
            (
                "It answers as all three APIs do, without a key and without cost, until you press "
                "Ctrl-C. `writer help sandbox` describes it."
            ),
        ),
        (
            "writer sandbox --port 8000",
            "writer sandbox --fault-rate 0.2 --log requests.jsonl",
            "writer sandbox --replay recordings",
        ),
    ),
    "completion": CommandText(
        "Print the script that lets your shell complete with TAB.",
        (
            (
                "It completes commands, flags, their values, profiles, settings, files, and the "
                "model ids that `writer models` listed last."
            ),
        ),
        sections=(
            Section("In ~/.bashrc, for bash", commands=('eval "$(writer completion bash)"',)),
            Section("In ~/.zshrc, for zsh", commands=('eval "$(writer completion zsh)"',)),
            Section(
                "Once, for fish",
                commands=(
                    "mkdir -p ~/.config/fish/completions",
                    "writer completion fish > ~/.config/fish/completions/writer.fish",
                ),
            ),
        ),
    ),
    "help": CommandText(
        "Show the help of a command, or a topic.",
        (),
        ("writer help complete", "writer help exit-codes", "writer help schema result"),
    ),
}
"""Every command, in the order of the help."""


def below(group: str) -> dict[str, CommandText]:
    """Return the commands of a group, by their last word; "" is the group of all.

    `batch merge` is not below `batch`, which is a command itself.
    """
    start = f"{group} " if group else ""
    return {
        name.removeprefix(start): text
        for name, text in COMMANDS.items()
        if name.startswith(start) and " " not in name.removeprefix(start)
    }
