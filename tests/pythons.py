"""Run the tests with each Python version of pyproject.toml that is installed.

Usage: python tests/pythons.py [VERSION]...

Pythons are searched on PATH and in pyenv. The tests of each run in an environment of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def main(wanted: list[str]) -> int:
    """Return 0 if the tests pass with every Python that is installed."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    outcomes = {
        version: outcome(version) for version in versions if version in (wanted or versions)
    }
    for version, said in outcomes.items():
        print(f"Python {version}: {said}")
    return int("failed" in outcomes.values())


def outcome(version: str) -> str:
    """Run the tests with a Python, and return the result."""
    python = next((path for path in candidates(version) if is_version(path, version)), None)
    if python is None:
        return "not at hand"
    make = ["make", f"PYTHON={python}", f"VENV=.venv-{version}", "test"]
    print(" ".join(make), flush=True)
    done = subprocess.run(make, cwd=PROJECT, check=False)
    return "passed" if done.returncode == 0 else "failed"


def candidates(version: str) -> Iterator[str]:
    """Yield the programs that may be this Python version."""
    found = shutil.which(f"python{version}")
    if found is not None:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def is_version(python: str, version: str) -> bool:
    """Whether a program is this Python version: a program of pyenv may only print an error."""
    print_version = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run(
        [python, "-c", print_version], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == version


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
