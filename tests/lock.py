"""Choose the versions that requirements-dev.txt names, with the hash of every file of each.

Usage: python -m tests.lock

One file serves every system and every Python that pyproject.toml allows. It names no registry:
pip takes the files from wherever it is set up to, and refuses one that has another hash.
"""

import subprocess
import sys
import tomllib

from tests.harness.environments import PROJECT, PYPROJECT, RegistryUnreachableError, environment

GROUPS = ("test", "lint", "build")
"""The dependency groups of pyproject.toml that `make test` and `make check` need."""


def main() -> int:
    """Write the new lock file; return 0 if that succeeded."""
    try:
        python = environment("lock")
    except RegistryUnreachableError:
        print("make lock: the package registry cannot be reached", file=sys.stderr)
        return 1
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    command = [str(python.parent / "uv"), "pip", "compile", "--quiet", "--upgrade", "--universal"]
    command += ["--python-version", project["requires-python"].removeprefix(">=")]
    command += ["--generate-hashes", "--system-certs", "--custom-compile-command", "make lock"]
    command += [argument for group in GROUPS for argument in ("--group", group)]
    command += ["pyproject.toml", "--output-file", "requirements-dev.txt"]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
