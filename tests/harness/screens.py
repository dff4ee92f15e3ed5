"""Run the program in this process with its output on a pseudo-terminal."""

import os
import re
import termios
import threading
from collections.abc import Mapping

from writer_cli.cli import main
from writer_cli.output.terminal import Terminal

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # a control sequence
    r"|\x1b[^\[]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def run_on_terminal(*arguments: str, env: Mapping[str, str], stdin: bytes = b"") -> tuple[int, str]:
    """Run the program on a terminal; return its exit code and what the terminal received."""
    reading, writing = os.openpty()
    modes = termios.tcgetattr(writing)
    modes[1] &= ~termios.OPOST  # else a line feed would become CR LF
    termios.tcsetattr(writing, termios.TCSANOW, modes)
    received = bytearray()

    def read() -> None:
        while True:
            try:
                received.extend(os.read(reading, 65536))
            except OSError:  # the other side has been closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    source, sink = os.pipe()
    os.write(sink, stdin)
    os.close(sink)
    try:
        with (
            os.fdopen(writing, "wb", buffering=0, closefd=False) as stdout,
            os.fdopen(writing, "w", encoding="utf-8", closefd=False) as stderr,
            os.fdopen(source, "rb") as opened,
        ):
            code = main(arguments, Terminal(stdin=opened, stdout=stdout, stderr=stderr, env=env))
    finally:
        os.close(writing)
        reader.join(60)
        os.close(reading)
    return int(code), received.decode()


def controls(shown: str) -> set[str]:
    """Return the set of control characters and control sequences in an output."""
    return set(_CONTROL.findall(shown))
