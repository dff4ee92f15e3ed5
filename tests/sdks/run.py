"""Run each of Writer's published SDKs, in an environment of its own, against `writer sandbox`.

Usage: python -m tests.sdks.run, with the Python that `writer` is installed for.

An environment is made once and again when pyproject.toml changes. Where there is none and the
package registry cannot be reached, its SDK is skipped with one line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.harness.environments import (
    InstallationError,
    RegistryUnreachableError,
    environment,
)

SDKS = ("enterprise", "studio")
HERE = Path(__file__).parent


def main() -> int:
    """Return 0 if every SDK that is there works."""
    pythons = {}
    for sdk in SDKS:
        try:
            pythons[sdk] = environment(f"sdk-{sdk}")
        except RegistryUnreachableError:
            print(f"skipped: the {sdk} SDK is not installed and the registry cannot be reached")
        except InstallationError:
            sys.exit(f"the {sdk} SDK cannot be installed")
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


def check(sdk: str, python: Path, url: str) -> int:
    """Run the tests of an SDK against the sandbox, without the settings of our own suite."""
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    where = ["--rootdir", str(HERE), "--confcutdir", str(HERE), str(HERE / f"{sdk}.py")]
    variables = {name: value for name, value in os.environ.items() if "WRITER" not in name}
    variables["WRITER_BASE_URL"] = url
    return subprocess.run([*pytest, *where], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
