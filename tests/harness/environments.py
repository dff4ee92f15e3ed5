"""Virtual environments for the tests of other projects' programs, made at the first use."""

import os
import subprocess
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PYPROJECT = PROJECT / "pyproject.toml"


class RegistryUnreachableError(Exception):
    """There is no environment yet, and the package registry cannot be reached."""


class InstallationError(Exception):
    """A package could not be installed; the installer has printed why."""


def environment(
    group: str,
    *,
    variables: Mapping[str, str] | None = None,
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Return the Python of the virtual environment of a dependency group of pyproject.toml.

    It is made once, in `.venv-GROUP`, and updated when pyproject.toml has changed. If the registry
    cannot be reached, an existing environment is used as it is.

    Args:
        group: The name of the dependency group.
        variables: Environment variables of the installer, besides those of this process.
        finish: Called with the environment's Python after the installation.

    Raises:
        RegistryUnreachableError: No environment, and no registry to make it from.
        InstallationError: The installer failed.
    """
    where = PROJECT / f".venv-{group}"
    ready, python = where / ".ready", where / "bin" / "python"
    if ready.exists() and ready.stat().st_mtime >= PYPROJECT.stat().st_mtime:
        return python
    if not python.exists():
        venv.create(where, with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    reach = [*pip, "--retries", "1", "--timeout", "10", "index", "versions", "pip"]
    if subprocess.run(reach, capture_output=True, check=False).returncode != 0:
        if ready.exists():
            return python
        raise RegistryUnreachableError(group)
    for wanted in (["pip>=25.1"], ["--group", f"{PYPROJECT}:{group}"]):
        installing = [*pip, "install", "--upgrade", *wanted]
        done = subprocess.run(installing, env=os.environ | (variables or {}), check=False)
        if done.returncode != 0:
            raise InstallationError(group)
    if finish is not None:
        finish(python)
    ready.touch()
    return python
