"""What the package says of itself, and the files that install it."""

import json
import re
import tomllib
from pathlib import Path

from tests.harness import documents
from tests.harness.program import shell

PROJECT = tomllib.loads(documents.read("pyproject.toml"))["project"]


def test_the_classifiers_begin_with_the_oldest_python_that_is_allowed() -> None:
    """They name each Python from there on, without a gap."""
    named = [
        int(version)
        for classifier in PROJECT["classifiers"]
        for version in re.findall(r"^Programming Language :: Python :: 3\.(\d+)$", classifier)
    ]
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    assert named == list(range(named[0], named[-1] + 1))


def test_the_image_starts_the_program_as_a_user() -> None:
    """What is copied is all that an installation needs, and the program is one of ours."""
    text = documents.read("Dockerfile")
    [program] = json.loads(re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[0])
    assert program in PROJECT["scripts"]
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    copied = documents.read(".dockerignore").splitlines()
    needed = {"writer_cli", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    assert copied == ["*", *(line for line in copied if line[1:] in needed)]
    assert {line[1:] for line in copied[1:]} == needed


def test_the_action_installs_what_is_beside_it() -> None:
    """Its first step installs the project, and each of its inputs is used."""
    text = documents.read("action.yml")
    assert documents.action_steps()[0] == 'pip install "$GITHUB_ACTION_PATH"'
    inputs = re.findall(
        r"^  ([\w-]+):$", text[text.index("inputs:") : text.index("runs:")], re.MULTILINE
    )
    assert set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", text)) == set(inputs)


def test_the_action_runs_its_commands_until_one_fails(tmp_path: Path) -> None:
    """A pipe counts, the exit code is that of the command, and quotes stay what they are."""
    commands = f"""writer complete --sandbox -o "{tmp_path}/the story's.txt" 'It was' | cat
writer complete --sandbox -m fault-400 'It was' | cat
touch {tmp_path}/after
"""
    ran = shell(documents.action_steps()[-1], env={"COMMANDS": commands})
    assert ran.code == 5
    assert [path.name for path in tmp_path.iterdir()] == ["the story's.txt"]
