"""Every test gets an empty home, no settings from outside, and a network of loopback only."""

import gc
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# A shared machine is sometimes slow, which is no fault of the code.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs this way, and interrupted programs would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # so does nohup


def pytest_xdist_auto_num_workers() -> int:
    """Use two workers more than there are processors, since many tests wait."""
    return 2 + (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Make garbage collection ignore objects that stay, and run less often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def empty_homes() -> list[Path]:
    """Return the home directories that tests left empty, for the next tests."""
    return []


@pytest.fixture(autouse=True)
def isolated_home(
    empty_homes: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """Give the test an empty home directory, and remove the variables that `writer` reads."""
    home = empty_homes.pop() if empty_homes else tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("WRITER_", "XDG_", "SSL_CERT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    for name in ("NO_COLOR", "COLUMNS"):  # the test runner sets them for itself
        monkeypatch.delenv(name, raising=False)
    yield home
    if not any(home.iterdir()):
        empty_homes.append(home)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections from this process to other machines."""
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            pytest.fail(f"a test connects to {address}")
        real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
