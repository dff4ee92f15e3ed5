"""The program, run in this process with streams in memory, or as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from writer_cli.cli import main
from writer_cli.output.terminal import Terminal

ERROR_KEYS = [
    "kind",
    "exit_code",
    "message",
    "status_code",
    "tpe",
    "errors",
    "action_id",
    "retryable",
    "attempts",
    "hint",
]
"""The keys of an error as JSON, in their order."""

WRITER = str(Path(sys.executable).parent / "writer")


class Process(subprocess.Popen[bytes]):
    """A process that is killed if its test fails, so that the test does not hang."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, traceback)


def give_time_to_start_waiting() -> None:
    """Give a program time to reach the system call that a signal is to interrupt.

    Python handles a signal that comes just before a system call only after the call.
    """
    time.sleep(0.3)


@dataclass(frozen=True)
class Ran:
    """The result of a run: exit code and output."""

    code: int
    output: str
    errors: str


def writer(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    stdin_is_terminal: bool = False,
    stdout_is_terminal: bool = False,
    stderr_is_terminal: bool = False,
) -> Ran:
    """Run the program in this process."""
    terminal = Terminal.fake(
        stdin=stdin,
        stdin_is_terminal=stdin_is_terminal,
        stdout_is_terminal=stdout_is_terminal,
        stderr_is_terminal=stderr_is_terminal,
        env=env,
    )
    code = main(arguments, terminal)
    return Ran(int(code), terminal.output.decode(), terminal.errors)


def shell(
    script: str,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    interpreter: str = "bash",
) -> Ran:
    """Run a script that can call `writer`; the code of a run that a signal ended is negative."""
    done = subprocess.run(
        [interpreter, "-c", script],
        env=environment(env),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment variables with `writer` first on PATH, and these."""
    path = f"{Path(WRITER).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, **(env or {})}
