"""Run `writer batch` in a test's directory, and read its output."""

import json
from pathlib import Path
from typing import Any

from writer_cli.cli import main
from writer_cli.output.terminal import FakeTerminal, Terminal
from writer_cli.sandbox.server import SandboxServer

KEY = "a-made-up-key"


LEAST = ("--sandbox", "--max-tokens", "3")
"""Flags for a fast batch."""


def write(name: str, *lines: str) -> str:
    """Write a file of lines and return its name."""
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def batch(*arguments: str, exits: int = 0, **streams: Any) -> FakeTerminal:
    """Run `writer batch`, and check its exit code."""
    terminal = Terminal.fake(**streams)
    assert main(["batch", *arguments], terminal) == exits, terminal.errors
    return terminal


def results(name: str = "out.jsonl") -> list[dict[str, Any]]:
    """Read an output."""
    return [json.loads(line) for line in Path(name).read_bytes().splitlines()]


def error(terminal: FakeTerminal) -> dict[str, Any]:
    """Read the JSON error at the end of standard error."""
    found: dict[str, Any] = json.loads(terminal.errors.splitlines()[-1])["error"]
    return found


def env_of(server: SandboxServer) -> dict[str, str]:
    """Return the environment variables that lead to a server."""
    return {
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "1",
        "WRITER_BASE_URL": server.url,
        "WRITER_MODEL_ID": "m",
    }
