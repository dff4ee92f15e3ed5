"""Run each of Writer's published SDKs, in an environment of its own, against `writer sandbox`.

Usage: python tests/sdks/run.py, with the Python that `writer` is installed for.

An environment is made once and again when pyproject.toml changes. Where there is none and the
package registry cannot be reached, its SDK is skipped with one line.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

SDKS = ("enterprise", "studio")
HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
PYPROJECT = PROJECT / "pyproject.toml"


def main() -> int:
    """Return 0 if every SDK that is there works."""
    environments = {sdk: environment(sdk) for sdk in SDKS}
    pythons = {sdk: python for sdk, python in environments.items() if python is not None}
    for sdk in SDKS:
        if sdk not in pythons:
            print(f"skipped: the {sdk} SDK is not installed and the registry cannot be reached")
    if not pythons:
        return 0
    with subprocess.Popen(
        [sys.executable, "-m", "writer_cli", "sandbox", "--json", "--quiet"],
        stdout=subprocess.PIPE,
    ) as sandbox:
        try:
            assert sandbox.stdout is not None
            url = json.loads(sandbox.stdout.readline())["url"]
            codes = [check(sdk, python, url) for sdk, python in pythons.items()]
        finally:
            sandbox.terminate()
    return max(*codes, sandbox.returncode)


def environment(sdk: str) -> Path | None:
    """Return the Python that has the SDK, installed now if need be, or None without a registry."""
    where = PROJECT / f".venv-sdk-{sdk}"
    ready, python = where / ".ready", where / "bin" / "python"
    if ready.exists() and ready.stat().st_mtime >= PYPROJECT.stat().st_mtime:
        return python
    if not python.exists():
        venv.create(where, with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    reach = [*pip, "--retries", "1", "--timeout", "10", "index", "versions", "pip"]
    if subprocess.run(reach, capture_output=True, check=False).returncode != 0:
        return python if ready.exists() else None
    for wanted in (["pip>=25.1"], ["--group", f"{PYPROJECT}:sdk-{sdk}"]):
        installing = subprocess.run([*pip, "install", "--upgrade", *wanted], check=False)
        if installing.returncode != 0:
            sys.exit(f"the {sdk} SDK cannot be installed")
    ready.touch()
    return python


def check(sdk: str, python: Path, url: str) -> int:
    """Run the tests of an SDK against the sandbox, without the settings of our own suite."""
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    where = ["--rootdir", str(HERE), "--confcutdir", str(HERE), str(HERE / f"{sdk}.py")]
    variables = {name: value for name, value in os.environ.items() if "WRITER" not in name}
    variables["WRITER_BASE_URL"] = url
    return subprocess.run([*pytest, *where], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
