"""Closed and full streams, signals at every moment, and Python's own variables."""

import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.attacks.invariant import KEY, ends_as_documented
from tests.attacks.strides import sample
from tests.harness.program import WRITER, Ran, environment, shell
from tests.harness.pseudo_terminal import OnTerminal

STATES = {
    "open": ("</dev/null", ">out", "2>err"),
    "closed": ("<&-", ">&-", "2>&-"),
    "full": ("</dev/full", ">/dev/full", "2>/dev/full"),
}
"""How the shell opens standard input, output and error; reading from /dev/full never ends."""

STREAMING = {
    "--version": 0,
    "--help": 0,
    "complete --sandbox p": 0,
    "complete --sandbox -o text p": 0,
    "batch --sandbox in.txt -o results": 0,
    "batch --sandbox in.txt -o -": 0,
    "complete --sandbox --max-tokens 0 p": 2,
}
"""Commands, and their exit code with open streams."""

STREAMS = list(product(STREAMING, product(STATES, repeat=3)))


@pytest.mark.parametrize(("command", "states"), sample(STREAMS, 4, first=7))
def test_streams_in_every_state(
    command: str, states: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a result that cannot be printed is an error, with exit code 11."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")
    redirections = " ".join(STATES[state][i] for i, state in enumerate(states))
    ran = shell(f"exec writer {command} {redirections}", env={"WRITER_API_KEY": KEY})
    said = [Path(name) for name in ("out", "err")]
    output, errors = (path.read_text() if path.exists() else "" for path in said)
    assert ends_as_documented(Ran(ran.code, output, errors)), errors
    prints_result = STREAMING[command] == 0 and "-o text" not in command and "-o res" not in command
    fails = prints_result and states[1] != "open"
    assert ran.code == (11 if fails else STREAMING[command])
    # A result in a file does not depend on any stream.
    if "-o text" in command:
        assert Path("text").read_text().endswith("\n")
    if "-o results" in command:
        assert Path("results").read_text().count('"digest": ') == 1


COUNTING = """
import os, sys
left, number = int(sys.argv[1]), int(sys.argv[2])
def profile(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), number)
sys.argv[:] = ["writer", *sys.argv[3:]]
from writer_cli.__main__ import run
sys.setprofile(profile)
run()
"""
"""Run the program, and send it a signal at the n-th call or return of a function."""

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

INTERRUPTED = [
    ["complete", "--sandbox", "-o", "text", "p"],
    ["batch", "--sandbox", "in.txt", "-o", "results", "--overwrite"],
    ["config", "set", "timeout", "3"],
    ["--help"],
]

MOMENTS = [5, 30, 200, 1000, *range(10_000, 670_000, 30_000)]
"""Calls until the signal; these commands have from 145,000 to 670,000."""

SIGNALLED = list(product(INTERRUPTED, SIGNALS, MOMENTS))


@pytest.mark.parametrize(("command", "number", "moment"), sample(SIGNALLED, 4, first=14))
def test_a_signal_at_each_moment(
    command: list[str], number: signal.Signals, moment: int, tmp_path: Path
) -> None:
    """A signal ends the command or comes too late; each file is the old or the new one."""
    old = {"text": "old\n", "config.toml": "# old\n", "in.txt": "p\n"}
    for name, content in old.items():
        (tmp_path / name).write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(moment), str(int(number)), *command],
        cwd=tmp_path,
        env=environment({"WRITER_CONFIG": "config.toml", "WRITER_API_KEY": KEY}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ends_as_documented(Ran(done.returncode, done.stdout, done.stderr)), done
    # A batch that is interrupted while it sends saves its results, and exits with 10.
    assert done.returncode in {0, -number, *([10] if command[0] == "batch" else [])}
    assert {path.name for path in tmp_path.iterdir()} <= {*old, "results"}
    assert (tmp_path / "config.toml").read_text() in {"# old\n", "# old\ntimeout = 3\n"}
    if command[0] != "complete":
        assert (tmp_path / "text").read_text() == "old\n"
    elif done.returncode == 0:
        assert (tmp_path / "text").read_text() != "old\n"
    for results in tmp_path.glob("results"):
        lines = results.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b'"}\n') for line in lines)


FOR_PYTHON = [
    "LANG=C",
    "LC_ALL=C",
    "LC_ALL=POSIX",
    "LC_ALL=no_SUCH.place",
    "PYTHONIOENCODING=ascii:strict",
    "PYTHONIOENCODING=latin-1",
    "PYTHONIOENCODING=utf-16-le",
    "PYTHONIOENCODING=:surrogateescape",
    "PYTHONUTF8=0",
    "PYTHONUTF8=1",
    "PYTHONUNBUFFERED=1",
    "PYTHONDEVMODE=1",
    "PYTHONWARNINGS=error",
    "PYTHONWARNDEFAULTENCODING=1",
    "PYTHONOPTIMIZE=2",
    "PYTHONSTARTUP=/proc/no/x.py",
    "PYTHONPATH=/dev/null",
    "PYTHONSAFEPATH=1",
    "PYTHONINSPECT=1",
    "PYTHONTRACEMALLOC=1",
    "PYTHONFAULTHANDLER=1",
    "PYTHONINTMAXSTRDIGITS=640",
    "PYTHONMALLOC=debug",
    "PYTHONHASHSEED=0",
]
"""Variables that Python and its libraries read when they start."""


def started(arguments: list[str | bytes], env: dict[str, str]) -> Ran:
    """Run the program without a shell, which would treat some variables itself."""
    done = subprocess.run(
        [WRITER, *arguments],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace"))


STARTED = list(product(FOR_PYTHON, ["C.UTF-8", "C"]))


@pytest.mark.parametrize(("variable", "locale"), sample(STARTED, 2))
def test_no_variable_of_python_changes_a_result(variable: str, locale: str) -> None:
    """Prompt and text are not changed by any of Python's variables, encodings included."""
    name, _, value = variable.partition("=")
    told = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "WRITER_API_KEY": KEY, name: value}
    ran = started(["complete", "--sandbox", "--dry-run", "é 🎈".encode()], told)
    assert ends_as_documented(ran)
    assert (ran.code, ran.errors) == (0, "")
    assert ran.output.endswith('"body": {"prompt": "é 🎈"}}\n')
    if locale == "C":
        refused = started(["complete", "--sandbox", b"--\xe9\xff"], told)
        assert ends_as_documented(refused)
        assert refused.code == 2


MODULES = ["writer_cli", "httpx", "httpcore", "typer", "click", "pydantic", "rich", "tomlkit"]
MODULES += ["json", "re", "enum", "typing", "signal", "ssl", "socket", "asyncio", "select"]
MODULES += ["platformdirs", "filelock", "certifi", "sitecustomize", "usercustomize", "encodings"]

AMONG_FILES = ["complete --sandbox p", "--version", "--help", "batch --sandbox in.txt -o results"]
AMONG_FILES += ["config set timeout 3", "models --sandbox", "config check --sandbox"]


@pytest.mark.parametrize("command", sample(AMONG_FILES, 1))
def test_modules_in_the_working_directory_are_not_imported(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files with the names of our, Python's or other modules are not imported."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")
    for name in MODULES:
        Path(f"{name}.py").write_text("open('imported', 'w').close()\nraise SystemExit(1)\n")
        Path(name).mkdir()
        Path(name, "__init__.py").write_text("open('imported', 'w').close()\n")
    ran = shell(f"writer {command}", env={"WRITER_CONFIG": "config.toml"})
    assert ends_as_documented(ran)
    assert ran.code == 0
    assert not Path("imported").exists()


def test_a_terminal_that_does_not_know_its_size_has_80_columns() -> None:
    """A terminal that reports 0 columns, as in some containers, counts as 80."""
    command = [WRITER, "complete", "--sandbox", "The sea"]
    with OnTerminal(command, env={"NO_COLOR": "1"}, columns=0) as terminal:
        assert terminal.wait() == 0
    longest = max(len(line) for line in terminal.text.splitlines())
    assert 60 < longest <= 80
