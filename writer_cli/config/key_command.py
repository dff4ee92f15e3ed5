"""`api_key_command`: a program, a password manager for one, whose output is the key."""

import os
import shlex
import subprocess

from writer_cli.apis.access import HOW_TO_SET_A_KEY
from writer_cli.errors import ConfigurationError
from writer_cli.redaction import redact

TIMEOUT = 60.0
"""Seconds that the command has; a person may have to unlock a password manager."""


def output(command: str, timeout: float = TIMEOUT) -> str:
    """Run a command line without a shell and return what it prints, line breaks at the end dropped.

    Its standard error is ours, and its standard input is empty: the prompt may be waiting there.
    Raises `ConfigurationError` where it fails or prints nothing.
    """
    try:
        done = subprocess.run(  # noqa: S603 - running it is the point
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"gave no answer within {timeout:g} s"
    except (OSError, ValueError) as error:
        reason = f"cannot be run: {error.strerror if isinstance(error, OSError) else error}"
    else:
        if done.returncode < 0:
            reason = f"was ended by signal {-done.returncode}"
        elif done.returncode > 0:
            reason = f"ended with exit code {done.returncode}"
        elif not done.stdout.strip():
            reason = "printed nothing"
        else:
            return os.fsdecode(done.stdout.rstrip(b"\r\n"))
    raise ConfigurationError(
        f"api_key_command: {redact(repr(command), None)} {reason}",
        hint=f"try it by hand; it has no shell's ~, $ and |. Else {HOW_TO_SET_A_KEY}",
    ) from None
