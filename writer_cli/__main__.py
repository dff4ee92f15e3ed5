"""The process: the entry point of `writer`, `writer-cli` and `python -m writer_cli`."""

import gc
import os
import signal
import sys
from typing import NoReturn

from writer_cli import __version__
from writer_cli.exits import FIRST_SIGNAL_CODE, ExitCode
from writer_cli.posix_only import STOP_SIGNALS

GC_THRESHOLD = 100_000
"""Objects before the first garbage collection: collecting during start-up costs a tenth of it."""


def run() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    try:
        _set_up()
        code = _code()
    except (KeyboardInterrupt, SystemExit) as error:  # only the second has a code
        code = int(getattr(error, "code", ExitCode.INTERRUPTED) or 0)
    leave(code)


def _set_up() -> None:
    for number in STOP_SIGNALS:
        # Ctrl-C is an exception already, and what is ignored, as under nohup, stays so.
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    gc.set_threshold(GC_THRESHOLD)
    # Otherwise pydantic searches all installed packages for plugins.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"


def _code() -> int:
    from writer_cli.errors import ReaderGoneError, WriterError
    from writer_cli.output.terminal import Terminal

    terminal = Terminal.real()
    if sys.argv[1:] == ["--version"]:
        # Installers and shell prompts ask for the version: answer without loading the command line.
        try:
            terminal.write(f"writer {__version__}\n")
        except WriterError as error:
            if not isinstance(error, ReaderGoneError):
                terminal.note(f"error: {error.message}")
            return error.exit_code
        return ExitCode.OK
    from writer_cli.cli import main, program_name

    return main(sys.argv[1:], terminal, program=program_name())


def leave(code: int) -> NoReturn:
    """End the process with an exit code, or by a signal if the code means one."""
    if code > FIRST_SIGNAL_CODE:
        from writer_cli import posix_only

        posix_only.end_by_signal(code - FIRST_SIGNAL_CODE)
    from writer_cli.output.terminal import flush_standard_streams

    flush_standard_streams()
    # Everything is written and closed. Destroying all objects would take a sixth of the run.
    os._exit(code)


def _terminate(number: int, _: object) -> NoReturn:
    # An exception, so that `finally` blocks delete temporary files.
    sys.exit(FIRST_SIGNAL_CODE + number)


if __name__ == "__main__":
    run()
