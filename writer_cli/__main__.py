"""The process: `writer`, `writer-cli` and `python -m writer_cli` are this."""

import gc
import os
import signal
import sys
from typing import NoReturn

from writer_cli import __version__
from writer_cli.exits import FIRST_SIGNAL_CODE, ExitCode

LIVING_OBJECTS = 100_000
"""What a start-up makes and keeps: to look for garbage among them takes a tenth of its time."""


def run() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    gc.set_threshold(LIVING_OBJECTS)
    # Pydantic would look into every package that is installed for one that extends it.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _code()
    except (KeyboardInterrupt, SystemExit) as error:  # only the second has a code
        code = int(getattr(error, "code", ExitCode.INTERRUPTED) or 0)
    leave(code)


def _code() -> int:
    from writer_cli.errors import ReaderGoneError, WriterError
    from writer_cli.output.terminal import Terminal

    terminal = Terminal.real()
    if sys.argv[1:] == ["--version"]:
        # Asked for by installers and shell prompts: it needs none of what follows.
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
    """End the process; where the code stands for a signal, by that signal if that is possible."""
    if code > FIRST_SIGNAL_CODE:
        from writer_cli import posix_only

        posix_only.end_by_signal(code - FIRST_SIGNAL_CODE)
    from writer_cli.output.terminal import flush_standard_streams

    flush_standard_streams()
    # Everything has been written and closed: taking each object down is a sixth of a whole run.
    os._exit(code)


def _terminate(*_: object) -> NoReturn:
    # An exception, so that files half written are taken away on the way out.
    sys.exit(ExitCode.TERMINATED)


if __name__ == "__main__":
    run()
