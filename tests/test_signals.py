import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.program import (
    WRITER,
    Process,
    Ran,
    environment,
    give_time_to_start_waiting,
    shell,
)
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import Held, Server, completion

STORY = "Once upon a time"


def test_an_interrupt_while_the_prompt_is_read_exits_with_130(tmp_path: Path) -> None:
    """SIGINT while the prompt is read ends the process without a message."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        Process(
            [WRITER, "complete", "--sandbox", "-f", str(pipe)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        pipe.open("wb"),
    ):  # returns when the program has opened it too
        give_time_to_start_waiting()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_the_process_as_that_signal(number: signal.Signals, tmp_path: Path) -> None:
    """The process dies of the signal, leaves no temporary file and keeps the old file."""
    path = tmp_path / "result"
    path.write_text("old")
    with (
        Server(held := Held(completion("late"))) as server,
        Process(
            [WRITER, "complete", "-o", str(path), STORY],
            env=environment(server.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert held.arrived.wait(60)
        assert [entry.name for entry in tmp_path.iterdir()] == ["result"]
        give_time_to_start_waiting()
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (-number, b"", b"")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_a_closed_terminal_ends_the_process(tmp_path: Path) -> None:
    """Closing the terminal ends the process with SIGHUP and leaves no file."""
    path = tmp_path / "result"
    with (
        Server(held := Held(completion("late"))) as server,
        OnTerminal([WRITER, "complete", "-o", str(path), STORY], env=server.env) as terminal,
    ):
        assert held.arrived.wait(60)
        terminal.wait_for("waiting for")
        terminal.hang_up()
        assert terminal.wait() == -signal.SIGHUP
    assert list(tmp_path.iterdir()) == []


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    """Under nohup SIGHUP is ignored, and the result is written."""
    path = tmp_path / "result"
    with (
        Server(held := Held(completion("late"))) as server,
        Process(
            ["nohup", WRITER, "complete", "-o", str(path), STORY],
            env=environment(server.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        assert held.arrived.wait(60)
        process.send_signal(signal.SIGHUP)
        held.release.set()
        output = process.communicate(timeout=60)[0]
    assert (process.returncode, output, path.read_text()) == (0, b"", "late\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_ends_the_process_quietly_with_141(unbuffered: str) -> None:
    """With `| head -1` the process ends by SIGPIPE without a message."""
    with Server(completion("one\n" * 1_000_000)) as server:
        ran = shell(
            f'writer complete "{STORY}" | head -1; echo "${{PIPESTATUS[0]}}"',
            env=server.env | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert ran == Ran(0, "one\n141\n", "")


def without_reader(arguments: list[str]) -> tuple[int, bytes]:
    """Run a program whose standard output has no reader; return its exit code and errors."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            arguments,
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments", [["complete", "--sandbox", STORY], ["--version"], ["--help"]], ids=" ".join
)
def test_a_reader_that_was_never_there_ends_the_process_with_141(arguments: list[str]) -> None:
    """Even a short text to a pipe without a reader ends the process by SIGPIPE."""
    assert without_reader([WRITER, *arguments]) == (-signal.SIGPIPE, b"")


BLOCKING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments", [["complete", "--sandbox", STORY], ["--help"], ["--version"]], ids=" ".join
)
def test_where_a_signal_cannot_end_the_process_its_code_remains(arguments: list[str]) -> None:
    """If SIGPIPE is blocked, the process exits with 141."""
    assert without_reader([sys.executable, "-c", BLOCKING, WRITER, *arguments]) == (141, b"")


INTERRUPTED_LOADING = """
import os, signal
try:
    os.kill(os.getpid(), signal.{name})
finally:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
"""
"""A module that is interrupted while it loads; afterwards the signal cannot end the process."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_program_loads_gives_its_code(
    number: signal.Signals, tmp_path: Path
) -> None:
    """A signal while modules are imported ends the process as at any other time."""
    (tmp_path / "typer.py").write_text(INTERRUPTED_LOADING.format(name=number.name))
    ran = shell(f"writer complete --sandbox '{STORY}'", env={"PYTHONPATH": str(tmp_path)})
    assert ran == Ran(128 + number, "", "")


def may_make_a_process_1() -> bool:
    """Whether this user may start a process with id 1, as in a container."""
    tried = ["unshare", "--pid", "--fork", "true"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(tried, capture_output=True, check=False).returncode == 0
    )


WAITING = "open({pipe!r}).read()"
"""A module that takes its time to load."""


@pytest.mark.skipif(not may_make_a_process_1(), reason="not allowed here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("while_loading", [True, False])
def test_process_1_of_a_container_ends_with_the_code(
    number: signal.Signals, tmp_path: Path, *, while_loading: bool
) -> None:
    """Signals do not kill process 1, so the program exits with 128 plus the signal's number."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ["complete", "--sandbox", "-f", str(pipe)]
    if while_loading:
        (tmp_path / "difflib.py").write_text(WAITING.format(pipe=str(pipe)))
        arguments = ["complete", "--sandbox", STORY]
    with (
        Process(
            ["unshare", "--pid", "--fork", "--kill-child", WRITER, *arguments],
            env=environment({"PYTHONPATH": str(tmp_path)} if while_loading else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        pipe.open("wb"),
    ):
        [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (128 + number, b"", b"")
