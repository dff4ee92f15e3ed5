"""Fixtures of the tests of server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer


@pytest.fixture
def serve() -> Iterator[Callable[..., SandboxServer]]:
    """Return a function that starts a server; the servers are closed at the end."""
    servers: list[SandboxServer] = []

    def start(sandbox: Sandbox | None = None, **options: Any) -> SandboxServer:
        servers.append(SandboxServer(sandbox or Sandbox(), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
