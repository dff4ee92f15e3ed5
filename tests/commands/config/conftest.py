"""Fixtures of the tests of config."""

from pathlib import Path

import pytest

from tests.commands.config.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home without a configuration file."""
    return Home(tmp_path)
