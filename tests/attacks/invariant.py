"""What must hold in all tests of attacks."""

from tests.harness.program import Ran
from writer_cli.exits import ExitCode

KEY = "wQ8zN4-hidden.L6vT2xR9"
"""A key that no output may contain."""

DOCUMENTED = {int(code) for code in ExitCode} - {int(ExitCode.BUG)}
"""The exit codes that are allowed in these tests."""


def ends_as_documented(ran: Ran) -> bool:
    """Whether a run ended with a documented code, without a traceback and without the key.

    A process that a signal ended has the negative number of the signal as its code.
    """
    code = 128 - ran.code if ran.code < 0 else ran.code
    said = ran.output + ran.errors
    return code in DOCUMENTED and not any(
        text in said for text in ("Traceback", "Exception ignored", "Exception in thread", KEY)
    )
