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

    It is made once, in `.venv-GROUP`, and brought up to date when pyproject.toml has changed.
    Without a registry an environment that was made before is used as it is.

    Args:
        group: The name of the dependency group.
        variables: What the installer is told by variables, beside those of this process.
        finish: What is left to do in the environment after the installation.

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
