"""Load settings, and run a command with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from writer_cli.cli import main
from writer_cli.config.settings import Settings
from writer_cli.output.terminal import FakeTerminal, Terminal

KEY = "made-up-key-for-a-test-0123456789"


def load_settings(
    text: str | bytes = "",
    *,
    directory: Path,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    profile: str | None = None,
) -> Settings:
    """Return the settings of a file with that text."""
    path = directory / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Settings(
        flags=flags or {}, env=env or {}, path=path, profile=profile, key_command_timeout=10
    )


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> tuple[int, FakeTerminal]:
    """Run the program in a pipe and return its exit code and what it wrote."""
    terminal = Terminal.fake(env=env or {}, stdin=stdin)
    return main(arguments, terminal), terminal
