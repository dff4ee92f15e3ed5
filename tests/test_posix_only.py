"""The program on a system without what POSIX systems have, such as Windows."""

import os
import re
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from tests.harness.program import Ran, environment
from tests.test_house import FILES, ROOT
from writer_cli import posix_only

MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
"""Modules that only POSIX systems have."""

ATTRIBUTES = {
    "os": {
        "O_CLOEXEC",
        "O_NONBLOCK",
        "O_TMPFILE",
        "WIFSIGNALED",
        "fchmod",
        "fchown",
        "fork",
        "geteuid",
        "killpg",
        "mkfifo",
        "setsid",
    },
    "signal": {"SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "pthread_kill"},
}
"""Functions that only POSIX systems have, in modules that every system has."""

HIDE = f"""
import importlib.abc, os, signal, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {MODULES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
for name in {MODULES!r}:
    sys.modules.pop(name, None)
for module, names in {ATTRIBUTES!r}.items():
    for name in names:
        delattr(sys.modules[module], name)
"""
"""Removes all of these; Python runs it before the program."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a directory in which programs start without the modules of POSIX."""
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    return tmp_path


def writer(directory: Path, *arguments: str, stdin: str = "") -> Ran:
    """Run the program in a process without the modules of POSIX."""
    done = subprocess.run(
        [sys.executable, "-m", "writer_cli", *arguments],
        env=environment({"PYTHONPATH": f"{directory}{os.pathsep}{ROOT.parent}"}),
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_modules_are_absent(elsewhere: Path) -> None:
    """The process of the tests below cannot import the modules."""
    program = f"""
for name in {sorted(MODULES)!r}:
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment({"PYTHONPATH": str(elsewhere)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == sorted(MODULES)


def test_the_version_is_printed(elsewhere: Path) -> None:
    """`writer --version` works without the modules."""
    ran = writer(elsewhere, "--version")
    assert (ran.code, ran.errors) == (0, "")
    assert ran.output.startswith("writer ")


def test_a_completion_is_written_to_a_file(elsewhere: Path) -> None:
    """The text is in the file, and there is no warning."""
    ran = writer(elsewhere, "complete", "--sandbox", "-o", "story.txt", "Once upon a time")
    assert ran == Ran(0, "", "")
    assert (elsewhere / "story.txt").read_text().strip()


def test_a_setting_is_saved_and_read(elsewhere: Path) -> None:
    """A key is saved without a warning about the file's mode, which means nothing there."""
    ran = writer(elsewhere, "config", "set", "api_key", stdin="a-made-up-key\n")
    assert (ran.code, ran.output) == (0, "")
    [file] = Path(os.environ["XDG_CONFIG_HOME"]).rglob("config.toml")
    file.chmod(0o666)
    ran = writer(elsewhere, "config", "get", "api_key")
    assert ran == Ran(0, "[redacted, 13 characters]\n", "")


def test_a_batch_runs_and_says_that_nothing_is_locked(elsewhere: Path) -> None:
    """A batch completes, and warns that a second run at the same time is not prevented."""
    (elsewhere / "prompts.txt").write_text("The sea was\nThe hill was\nThe river was\n")
    ran = writer(elsewhere, "batch", "prompts.txt", "--sandbox", "-o", "answers.jsonl")
    assert ran.code == 0, ran.errors
    assert ran.errors.splitlines()[0] == (
        "warning: this system cannot lock answers.jsonl: start no second run that writes to it"
    )
    lines = (elsewhere / "answers.jsonl").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == [f'{{"index": {n}' for n in range(3)]


def test_a_process_that_cannot_end_by_a_signal_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program then exits with the code that a shell would report."""
    monkeypatch.delattr(os, "WIFSIGNALED")
    posix_only.end_by_signal(signal.SIGTERM)


def test_a_mode_says_who_else_can_use_a_file() -> None:
    """The permissions of the group and of others count, those of the owner do not."""
    assert [posix_only.others_can_read(mode) for mode in (0o600, 0o640, 0o604)] == [
        False,
        True,
        True,
    ]
    assert [posix_only.others_can_write(mode) for mode in (0o600, 0o620, 0o602)] == [
        False,
        True,
        True,
    ]


USED = re.compile(
    rf"\b(import|from) ({'|'.join(sorted(MODULES))})\b"
    rf"|\b(os|signal)\.({'|'.join(sorted({*chain(*ATTRIBUTES.values())}))})\b"
    r"|\b(os\.kill|stat\.S_I[RWX])"  # other systems have it with another meaning
    r"|[\"']/dev/"
)
"""The import of such a module, the use of such a function, the path of a device."""


def test_only_one_module_uses_functions_of_posix() -> None:
    """Only `posix_only` uses functions that exist on POSIX systems alone."""
    users = {file.name for file in FILES if USED.search(file.read_text(encoding="utf-8"))}
    assert users == {"posix_only.py"}
