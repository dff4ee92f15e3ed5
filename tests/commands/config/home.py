"""A home directory with a configuration file, and `writer config` in it."""

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from writer_cli.cli import main
from writer_cli.output.terminal import FakeTerminal, Terminal

KEY = "made-up-key-for-a-test-0123456789"


SHOWN = "[redacted, 33 characters]"


WRITER = Path(sysconfig.get_path("scripts")) / "writer"


class Home:
    """A configuration file, and the program that uses it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "config.toml"
        self.env = {"WRITER_CONFIG": str(self.path), "PATH": str(WRITER.parent)}

    def write(self, text: str) -> None:
        """Write the file so that other users cannot read it."""
        self.path.touch(mode=0o600)
        self.path.write_bytes(text.encode())

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        on_terminal: bool = False,
        expected: int = 0,
    ) -> FakeTerminal:
        """Run `writer config`; fail if the exit code is not the expected one."""
        terminal = Terminal.fake(
            stdin=stdin,
            env=self.env | dict(env or {}),
            stdin_is_terminal=on_terminal,
            stdout_is_terminal=on_terminal,
        )
        code = main(["config", *arguments], terminal)
        assert code == expected, terminal.errors
        return terminal

    def json(self, *arguments: str, **options: Any) -> Any:
        """Run it with `--json`, and return the JSON of standard output."""
        terminal = self.run(*arguments, "--json", **options)
        assert terminal.output.count(b"\n") == 1
        return json.loads(terminal.output)
