"""`api_key_command`: a program that prints the key, such as a password manager."""

import os
import shlex
import subprocess

from writer_cli.apis.access import HOW_TO_SET_A_KEY
from writer_cli.errors import ConfigurationError
from writer_cli.redaction import redact

TIMEOUT = 60.0
"""Seconds for the command; the user may have to unlock a password manager."""


def output(command: str, timeout: float = TIMEOUT) -> str:
    """Run a command without a shell, and return its output without line breaks at the end.

    It writes its messages to our standard error. Its standard input is empty, because ours may
    contain the prompt. Raises `ConfigurationError` if it fails or prints nothing.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user configured it to run
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"did not finish within {timeout:g} s"
    except (OSError, ValueError) as error:
        reason = f"cannot be run: {error.strerror if isinstance(error, OSError) else error}"
    else:
        if done.returncode < 0:
            reason = f"was killed by signal {-done.returncode}"
        elif done.returncode > 0:
            reason = f"failed with exit code {done.returncode}"
        elif not done.stdout.strip():
            reason = "printed nothing"
        else:
            return os.fsdecode(done.stdout.rstrip(b"\r\n"))
    raise ConfigurationError(
        f"api_key_command: {redact(repr(command), None)} {reason}",
        hint="run it in a terminal to see why; it runs without a shell, so ~, $ and | do not work. "
        f"Or {HOW_TO_SET_A_KEY}",
    ) from None
