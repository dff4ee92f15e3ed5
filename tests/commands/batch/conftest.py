"""Fixtures of the tests of batch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer


@pytest.fixture(autouse=True)
def in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a directory of its own, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def slow_server() -> Iterator[SandboxServer]:
    """Start a server that takes its time."""
    server = SandboxServer(Sandbox(), latency=0.25)
    yield server
    server.close()
