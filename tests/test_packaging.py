"""The metadata of the package, and the files that install it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import audit, licences, lock
from tests.harness import documents
from tests.harness.program import shell

PYPROJECT = tomllib.loads(documents.read("pyproject.toml"))

PROJECT = PYPROJECT["project"]


def test_the_classifiers_begin_with_the_oldest_python_that_is_allowed() -> None:
    """The classifiers name each supported Python version, without a gap."""
    named = [
        int(version)
        for classifier in PROJECT["classifiers"]
        for version in re.findall(r"^Programming Language :: Python :: 3\.(\d+)$", classifier)
    ]
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    assert named == list(range(named[0], named[-1] + 1))


def test_the_image_starts_the_program_as_a_user() -> None:
    """The image copies what the installation needs, and starts one of our programs."""
    text = documents.read("Dockerfile")
    [program] = json.loads(re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[0])
    assert program in PROJECT["scripts"]
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    copied = documents.read(".dockerignore").splitlines()
    needed = {"writer_cli", "man", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    assert copied == ["*", *(line for line in copied if line[1:] in needed)]
    assert {line[1:] for line in copied[1:]} == needed


def test_the_action_installs_what_is_beside_it() -> None:
    """The action's first step installs the project, and each of its inputs is used."""
    text = documents.read("action.yml")
    assert documents.action_steps()[0] == 'pip install "$GITHUB_ACTION_PATH"'
    inputs = re.findall(
        r"^  ([\w-]+):$", text[text.index("inputs:") : text.index("runs:")], re.MULTILINE
    )
    assert set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", text)) == set(inputs)


def test_the_action_runs_its_commands_until_one_fails(tmp_path: Path) -> None:
    """The action fails with the exit code of the failed command, in a pipe too."""
    commands = f"""writer complete --sandbox -o "{tmp_path}/the story's.txt" 'It was' | cat
writer complete --sandbox -m fault-400 'It was' | cat
touch {tmp_path}/after
"""
    ran = shell(documents.action_steps()[-1], env={"COMMANDS": commands})
    assert ran.code == 5
    assert [path.name for path in tmp_path.iterdir()] == ["the story's.txt"]


# The lock file.

LOCK = documents.read("requirements-dev.txt")


def test_the_lock_file_has_the_dependencies_of_the_project() -> None:
    """The lock file has each dependency of pyproject.toml, within its bounds."""
    versions = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE)
    }
    groups = PYPROJECT["dependency-groups"]
    for text in [
        *PROJECT["dependencies"],
        *(one for group in lock.GROUPS for one in groups[group]),
    ]:
        requirement = Requirement(text)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_the_lock_file_has_hashes_and_no_registry() -> None:
    """Each package in the lock file has a hash, and nothing names a registry."""
    packages = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(packages) > 40
    for package in packages:
        head, *lines = package.splitlines()
        hashes = [
            line for line in lines if re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line)
        ]
        assert hashes, head
        comments = [line for line in lines if re.fullmatch(r" {4}# {1,3}[\w .:()-]+", line)]
        assert lines == [*hashes, *comments], head
    assert "://" not in LOCK


def test_the_page_of_licences_is_current() -> None:
    """docs/dependencies.md lists each package of the lock file; `make lock` writes it."""
    page = documents.read("docs/dependencies.md")
    assert licences.with_tables(page) == page
    assert "| httpx | BSD-3-Clause | HTTP |" in page


def test_every_dependency_says_its_licence() -> None:
    """Each licence is an SPDX name or several that are joined."""
    for heading in ("Installed with writer", "For development only"):
        section = documents.section("docs/dependencies.md", heading)
        rows = re.findall(r"^\| ([a-z][\w-]+) \| (.*) \| .+ \|$", section, re.MULTILINE)
        for name, licence in rows[1:]:
            assert re.fullmatch(r"[A-Z][\w.-]+( (OR|AND) [A-Z][\w.-]+)*", licence), name


KNOWN: dict[str, Any] = {"name": "h11", "version": "0.16.0", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "h12", "skip_reason": "not found"}
VULNERABLE: dict[str, Any] = {
    "name": "idna",
    "version": "3.20",
    "vulns": [{"id": "X-1", "fix_versions": ["3.21", "4.0"]}, {"id": "X-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "passed", "text"),
    [
        ([KNOWN], True, "make audit: none of 1 packages is known to be vulnerable"),
        ([KNOWN, UNKNOWN], False, "make audit: failed\nh12: not found"),
        (
            [KNOWN, VULNERABLE],
            False,
            """make audit: failed
idna 3.20 is vulnerable: X-1, mended in 3.21, 4.0
idna 3.20 is vulnerable: X-2, mended in no version""",
        ),
        ([UNKNOWN], True, f"{audit.NOTHING_CHECKED}the database answered for none of 1 packages"),
    ],
)
def test_an_audit_passes_only_what_was_looked_up(
    packages: list[dict[str, Any]], passed: bool, text: str
) -> None:
    """A vulnerable package and one that was not looked up fail, unless none was looked up."""
    assert audit.verdict({"dependencies": packages}) == (passed, text)


# The built files.


def build(project: Path, **variables: str) -> list[str]:
    """Build the package in a folder, and return the names and hashes of the files."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", "built"]
    env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(command, cwd=project, env=env | variables, check=True, capture_output=True)
    return sorted(
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in (project / "built").iterdir()
    )


def test_the_package_has_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    """Folder, time, time zone and file modes do not change the built files."""
    first, second = tmp_path / "first", tmp_path / "second" / "in" / "depth"
    for copy in (first, second):
        for path in sorted(documents.ROOT.glob("*")):
            if path.is_file():
                copy.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy / path.name)
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(documents.ROOT / "writer_cli", copy / "writer_cli", ignore=without)
    for path in second.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    built = build(first, TZ="UTC", PYTHONHASHSEED="1")
    assert [name.rpartition(" ")[0] for name in built] == [
        "writer_cli-0.1.0-py3-none-any.whl",
        "writer_cli-0.1.0.tar.gz",
    ]
    assert build(second, TZ="Asia/Kolkata", PYTHONHASHSEED="2") == built
