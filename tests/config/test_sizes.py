"""Size limits of the configuration file and of the list of models."""

import os
from pathlib import Path

import pytest

from writer_cli.config import file as config_file
from writer_cli.config import model_cache
from writer_cli.errors import ConfigurationError

MIB = 1024 * 1024


def test_a_configuration_file_of_one_mebibyte_is_read_and_no_larger_one(tmp_path: Path) -> None:
    """A file of 1 MiB is read, and one that is a byte larger is refused."""
    path = tmp_path / "config.toml"
    setting = "timeout = 5\n"
    path.write_text(setting + "#" * (MIB - len(setting)))
    assert config_file.table(path) == {"timeout": 5}
    path.write_text(setting + "#" * (MIB - len(setting) + 1))
    with pytest.raises(ConfigurationError, match=r"config.toml is larger than 1 MiB$"):
        config_file.table(path)


def test_a_long_list_of_models_is_stored_completely(tmp_path: Path) -> None:
    """A list of more models than any server is known to have is stored and read again."""
    path = tmp_path / "cache" / "models.json"
    ids = [f"model-{number}" for number in range(5000)]
    model_cache.remember(path, ids)
    assert model_cache.known(path) == ids


def test_a_list_of_models_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe in the place of the list is ignored and not waited for."""
    path = tmp_path / "models.json"
    os.mkfifo(path)
    assert model_cache.known(path) == []
