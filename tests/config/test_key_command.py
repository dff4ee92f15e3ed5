"""The command that prints the key, and what is said if it fails."""

import pytest

from writer_cli.config import key_command
from writer_cli.errors import ConfigurationError

HINT = (
    "run it in a terminal to see why; it runs without a shell, so ~, $ and | do not work. "
    "Or set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("false", "failed with exit code 1"),
        ("sh -c 'kill -9 $$'", "was killed by signal 9"),
        ("printf '\\n'", "printed nothing"),
        ("no-such-command-anywhere", "cannot be run: No such file or directory"),
        ("'", "cannot be run: No closing quotation"),
    ],
)
def test_a_command_without_a_key_has_its_reason(command: str, reason: str) -> None:
    """The message has the command, and the hint says how to try it."""
    with pytest.raises(ConfigurationError) as caught:
        key_command.output(command)
    assert caught.value.message == f"api_key_command: {command!r} {reason}"
    assert caught.value.hint == HINT


def test_a_command_that_does_not_end_has_its_reason() -> None:
    """It has a minute, here a part of a second."""
    assert key_command.TIMEOUT == 60
    with pytest.raises(ConfigurationError, match=r"did not finish within 0\.05 s$"):
        key_command.output("sleep 30", timeout=0.05)


def test_only_line_breaks_at_the_end_are_removed() -> None:
    """Anything else is part of the key."""
    assert key_command.output("printf ' a b\\r\\n\\n'") == " a b"
